"""A set out of a camera's frames: nothing twice, and the most different ones when it is full."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.datasets.diverse import Diverse, Kept
from edgecnn.datasets.natural import natural_images
from edgecnn.runtime.preprocess import Image


def views(count: int) -> list[Image]:
    return list(natural_images(count, height=72, width=96, seed=4))


def test_the_same_view_is_kept_once_whatever_the_noise() -> None:
    (view,) = views(1)
    diverse = Diverse(10)
    assert diverse.offer(view) == Kept(0)
    random = np.random.default_rng(0)
    for _ in range(5):
        noisy = np.clip(view + random.integers(-6, 7, view.shape), 0, 255).astype(np.uint8)
        assert diverse.offer(noisy) is None


def test_the_same_view_in_other_light_is_another() -> None:
    (view,) = views(1)
    diverse = Diverse(10)
    diverse.offer(view)
    assert diverse.offer((view * 0.2).astype(np.uint8)) == Kept(1)


def test_a_full_set_changes_for_what_is_more_different() -> None:
    first, second, third = views(3)
    nearly = np.clip(first.astype(int) + 60, 0, 255).astype(np.uint8)
    diverse = Diverse(3)
    assert [diverse.offer(view) for view in (first, nearly, second)] == [Kept(n) for n in range(3)]
    replaced = diverse.offer(third)
    assert replaced in (Kept(0), Kept(1)), "one of the two that are alike goes"
    assert len(diverse) == 3
    assert diverse.offer(third) is None


@pytest.mark.parametrize("limit", [1, 4])
def test_it_never_grows_beyond_its_limit(limit: int) -> None:
    diverse = Diverse(limit)
    places = [kept.place for view in views(30) if (kept := diverse.offer(view))]
    assert len(diverse) == limit
    assert set(places) == set(range(limit))
