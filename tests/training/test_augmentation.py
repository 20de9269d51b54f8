"""Random views differ from the photo as far as they may, and no farther."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.runtime.preprocess import Image, uncropped
from edgecnn.training.augmentation import (
    AUGMENTATIONS,
    NONE,
    Augmentation,
    augmented,
    choose_augmentation,
)
from tests.photos import shape

PHOTO = shape("ball", 3)


def draw(augmentation: Augmentation, seed: int = 0, photo: Image = PHOTO) -> Image:
    return augmented(photo, (48, 48), augmentation, np.random.default_rng(seed))


def test_without_changes_a_view_is_the_photo() -> None:
    assert np.array_equal(draw(NONE), PHOTO)


def test_a_mirror_turns_left_into_right() -> None:
    assert np.array_equal(draw(Augmentation(mirror=1.0)), PHOTO[:, ::-1])


def test_crops_show_a_part_and_color_moves_the_light() -> None:
    cropped = draw(Augmentation(smallest=0.2), seed=1)
    assert not np.array_equal(cropped, PHOTO)
    flat = np.full((48, 48, 3), 128, np.uint8)
    assert np.array_equal(draw(Augmentation(smallest=0.2, degrees=30), photo=flat), flat)
    assert not np.array_equal(draw(Augmentation(color=0.4), photo=flat), flat)
    shifted = draw(Augmentation(pca=0.5), photo=flat)
    assert len(np.unique(shifted.reshape(-1, 3), axis=0)) == 1


def test_an_erased_rectangle_has_one_colour() -> None:
    view = draw(Augmentation(erase=1.0))
    changed = (view != PHOTO).any(axis=2)
    assert 0.01 < changed.mean() < 0.25
    assert len(np.unique(view[changed], axis=0)) == 1


def test_the_same_generator_gives_the_same_view() -> None:
    strong = AUGMENTATIONS["strong"]
    assert np.array_equal(draw(strong, 5), draw(strong, 5))
    assert not np.array_equal(draw(strong, 5), draw(strong, 6))


def test_letters_are_not_mirrored() -> None:
    photo = Preprocess(size=(32, 32))
    gray = Preprocess(size=(32, 32), color="GRAY", mean=(0.0,), std=(1.0,))
    assert choose_augmentation(("0", "1", "b"), photo) == "text"
    assert choose_augmentation(("cat", "dog"), gray) == "text"
    assert choose_augmentation(("cat", "dog"), photo) == "photos"
    assert AUGMENTATIONS["text"].mirror == 0


def test_crops_may_move_into_what_the_centre_crop_cuts_off() -> None:
    torchvision = Preprocess(size=(224, 224), resize=256)
    tensorflow = Preprocess(size=(224, 224), crop_fraction=0.875)
    assert uncropped(torchvision).size == (256, 256)
    assert uncropped(tensorflow).size == (256, 256)
    assert uncropped(tensorflow).crop_fraction == 1.0
    whole = Preprocess(size=(32, 32))
    assert uncropped(whole) is whole


@pytest.mark.parametrize(
    "values",
    [{"mirror": 1.5}, {"smallest": 0.0}, {"aspect": 0.5}, {"pca": -1.0}, {"color": float("nan")}],
)
def test_changes_that_cannot_be_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        Augmentation(**values)
