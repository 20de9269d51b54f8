"""Views of an image are what they say, and the first is always the one that ships."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Preprocess
from edgecnn.datasets.natural import natural_image
from edgecnn.errors import UsageError
from edgecnn.onnxfile import read_contract
from edgecnn.runtime import Classification, load
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.results import probabilities
from edgecnn.runtime.views import Views, views_of
from tests.profiling.toys import SIDE, color_picture, write_color_net

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


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown views 'nine'") as caught:
        views_of(IMAGE, CROPPED, "nine")  # type: ignore[arg-type]
    assert "ten" in str(caught.value.hint)


def test_a_model_averages_the_classes_of_all_views(tmp_path: Path) -> None:
    image = color_picture(5)
    image[:, 12:] = color_picture(2)[:, 12:]  # corners see what the centre sees half of
    path = write_color_net(tmp_path / "net.onnx")
    contract = read_contract(path)
    cropped = dataclasses.replace(contract, preprocess=Preprocess(size=(SIDE, SIDE), resize=24))
    with load(path, threads=1, contract=cropped) as model:
        result, plain = model(image, views="ten"), model(image)
        tensors = views_of(image, cropped.preprocess, "ten")
        wanted = np.mean([probabilities(model.run(tensor)[0]) for tensor in tensors], axis=0)
        assert isinstance(result, Classification)
        assert isinstance(plain, Classification)
        np.testing.assert_array_equal(result.scores, wanted)
        assert not np.allclose(result.scores, plain.scores, atol=1e-3)
        assert result.age_ms > 0


def test_only_classes_are_averaged(tmp_path: Path) -> None:
    path = write_color_net(tmp_path / "net.onnx")
    maps = dataclasses.replace(read_contract(path), task="segmentation")
    with load(path, threads=1, contract=maps) as model, pytest.raises(UsageError, match="segment"):
        model(IMAGE, views="flip")
