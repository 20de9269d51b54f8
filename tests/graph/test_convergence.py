"""Two halves of a set say how far the ranges would still move."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgecnn.graph.convergence import Convergence, convergence
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import observe
from edgecnn.graph.thresholds import percentile
from tests import toy


def test_halves_that_are_the_same_promise_no_change() -> None:
    half = list(toy.images(8)())
    ticks: list[None] = []
    found = convergence(toy.plain(), (half, half), progress=lambda: ticks.append(None))
    assert (found.images, len(ticks)) == (16, 16)
    assert set(found.change(64).values()) == {0.0}


def test_a_set_that_has_seen_little_of_what_there_is_moves_more() -> None:
    halves = (list(toy.images(8, seed=1)()), list(toy.images(8, seed=2)()))
    alike = convergence(toy.plain(), halves).change(64)
    louder = (halves[0], [3 * image for image in halves[1]])
    unlike = convergence(toy.plain(), louder).change(64)
    assert all(unlike[name] > alike[name] for name in alike)


def test_the_more_there_are_the_less_a_few_more_change() -> None:
    few, many = (Convergence(count, {"a": 0.1}) for count in (32, 3200))
    assert few.change(64)["a"] > 4 * many.change(64)["a"]
    assert few.change(64)["a"] < few.change(640)["a"] < 0.05


def test_what_is_foretold_is_what_comes() -> None:
    """Of means, for which the formula is exact: over many sets the squares agree."""
    random = np.random.default_rng(0)
    foretold, came = [], []
    for _ in range(4000):
        images = random.standard_normal(80)
        halves = images[:20].mean(), images[20:40].mean()
        foretold.append(Convergence(40, {"a": abs(halves[0] - halves[1])}).change(40)["a"])
        came.append(images[:80].mean() - images[:40].mean())
    assert np.mean(np.square(foretold)) == pytest.approx(np.mean(np.square(came)), rel=0.1)


@pytest.mark.slow
def test_ranges_move_about_as_far_as_foretold() -> None:
    count, more = 64, 32
    foretold, came = [], []
    model = read_model(toy.plain())
    for seed in range(12):
        images = list(toy.images(count + more, seed=seed)())
        found = convergence(model, (images[: count // 2], images[count // 2 : count]))
        foretold += list(found.change(more).values())
        names = list(found.apart)
        before, after = (observe(model, names, images[:end]) for end in (count, count + more))
        for name in names:
            (low, high), (new_low, new_high) = percentile(before[name]), percentile(after[name])
            came.append((abs(new_low - low) + abs(new_high - high)) / (high - low))
    assert np.mean(foretold) == pytest.approx(np.mean(came), rel=0.5)


def test_a_tensor_that_is_always_zero_has_nothing_to_move() -> None:
    net = toy.Net()
    dead = net.relu(net.node("Mul", net.conv("image", 8), net.constant(0.0)))
    model = net.model(net.head(net.conv(dead, 8)))
    halves = (toy.images(4, seed=1)(), toy.images(4, seed=2)())
    found = convergence(model, halves)
    assert all(np.isfinite(list(found.change(64).values())))
    assert list(itertools.islice(halves[0], 1)) == []
