"""Views of an image are what they say, and the first is always the one that ships."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.contract import Preprocess
from edgecnn.datasets.natural import natural_image
from edgecnn.errors import UsageError
from edgecnn.profiling.views import Views, views_of
from edgecnn.runtime.preprocess import preprocess

IMAGE = natural_image(0, height=60, width=80, seed=3)
CROPPED = Preprocess(size=(32, 32), resize=40)


@pytest.mark.parametrize(("views", "count"), [("centre", 1), ("flip", 2), ("five", 5), ("ten", 10)])
def test_the_first_view_ships_and_all_have_its_shape(views: Views, count: int) -> None:
    tensors = views_of(IMAGE, CROPPED, views)
    assert len(tensors) == count
    assert np.array_equal(tensors[0], preprocess(IMAGE, CROPPED))
    assert {tensor.shape for tensor in tensors} == {(1, 3, 32, 32)}
    assert len({tensor.tobytes() for tensor in tensors}) == count


def test_a_flip_is_the_mirror_image() -> None:
    square = IMAGE[:, :60]
    plain, mirrored = views_of(square, CROPPED, "flip")
    np.testing.assert_allclose(mirrored, plain[:, :, :, ::-1], atol=2.5 / 255)


def test_corners_are_those_of_the_resized_image() -> None:
    whole = preprocess(IMAGE, Preprocess(size=(40, 40), resize=40))
    corners = views_of(IMAGE, CROPPED, "five")[1:]
    for corner, (top, left) in zip(corners, ((0, 0), (0, 8), (8, 0), (8, 8)), strict=True):
        expected = whole[:, :, top : top + 32, left : left + 32]
        np.testing.assert_allclose(corner, expected, atol=1e-6)


def test_where_nothing_is_cropped_there_are_no_other_crops() -> None:
    with pytest.raises(UsageError, match="sees the whole image"):
        views_of(IMAGE, Preprocess(size=(32, 32)), "five")
