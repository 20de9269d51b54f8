"""One histogram a tensor: exact at its ends, honest between, small whatever it is given."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgecnn.errors import GraphError
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import BINS, Histogram, observe
from tests import toy

VALUES = arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32))


def histogram(*parts: toy.Float) -> Histogram:
    made = Histogram()
    for part in parts:
        made.add(part)
    return made


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_ends_are_exact_and_every_value_is_counted(parts: list[toy.Float]) -> None:
    made, together = histogram(*parts), np.concatenate(parts)
    assert (made.low, made.high) == (together.min(), together.max())
    assert made.counts.sum() == together.size


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_a_value_lies_at_most_a_bin_away_from_where_it_is_counted(parts: list[toy.Float]) -> None:
    made, together = histogram(*parts), np.sort(np.concatenate(parts))
    counted = np.repeat(made.centers(), made.counts)
    assert np.abs(counted - together).max() <= 1.01 * made.width


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(values: toy.Float, random: object) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (histogram(*part.reshape(-1, 1)) for part in (values, shuffled))
    assert one.width == other.width
    assert np.repeat(one.centers(), one.counts) == pytest.approx(
        np.repeat(other.centers(), other.counts), abs=1.01 * one.width
    )


def test_bins_are_fine_even_after_an_outlier() -> None:
    made = histogram(np.linspace(0, 1, 1000, dtype=np.float32), np.array([8.0], np.float32))
    assert made.width <= 2 * 8 / BINS


def test_large_tensors_are_sampled_evenly() -> None:
    ramp = np.linspace(0, 1, 1 << 20, dtype=np.float32)
    made = histogram(*[ramp] * 8)
    filled = made.counts[made.counts > 0]
    assert filled.min() > 0.8 * filled[:-1].mean()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        histogram(np.array([1.0, bad], np.float32))


def test_one_pass_sees_every_watched_tensor() -> None:
    model = read_model(toy.plain())
    watched = ["image", *(node.output[0] for node in model.graph.node[:3])]
    ticks: list[None] = []
    seen = observe(model, watched, toy.images(5)(), progress=lambda: ticks.append(None))
    assert list(seen) == watched
    assert seen["image"].counts.sum() == 5 * 3 * 16 * 16
    assert seen[watched[2]].low == 0  # after the ReLU
    assert len(ticks) == 5


def test_an_activation_that_overflows_is_named() -> None:
    net = toy.Net()
    big = net.node("Mul", net.conv("image", 8), net.constant(3e38))
    model = read_model(net.model(net.head(big)))
    with pytest.raises(GraphError, match="mul_1"):
        observe(model, ["conv_0", big], (1e3 * image for image in toy.images(2)()))


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    model = read_model(toy.depthwise())
    watched = [node.output[0] for node in model.graph.node[:-1]]

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        observe(model, watched, toy.images(count)())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(2)
    # Keeping any activation of 240 more images would take megabytes.
    assert peak_bytes(256) < peak_bytes(16) + 200_000
