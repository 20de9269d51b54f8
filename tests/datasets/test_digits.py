"""The demo's digits: real handwriting in three parts that never mix."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edgecnn.datasets.calibration import open_calibration
from edgecnn.datasets.digits import CLASSES, Split, load_digits, write_digits
from edgecnn.datasets.images import read_image
from edgecnn.datasets.labelled import open_labelled
from edgecnn.errors import FileError, UsageError

datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")


def test_digits_are_small_grey_pictures_in_rgb() -> None:
    digits = load_digits("calibration")
    assert digits.images.shape == (180, 32, 32, 3)
    assert digits.images.dtype == np.uint8
    assert (digits.images[..., 0] == digits.images[..., 2]).all()
    assert digits.images.max() == 255
    assert np.median(digits.images[:, 0, 0]) == 0


def test_the_parts_share_no_digit_and_leave_none_out() -> None:
    sizes = {split: len(load_digits(split).labels) for split in get_args(Split)}
    assert sizes == {"train": 1078, "calibration": 180, "held_out": 539}
    together = np.concatenate([load_digits(split).images for split in get_args(Split)])
    theirs = np.sort(datasets.load_digits().images.sum((1, 2)))
    assert len(together) == len(theirs) == 1797
    coarse = together[..., 0].astype(float).mean((1, 2)) * 64 * 16 / 255
    np.testing.assert_allclose(np.sort(coarse), theirs, atol=8)


def test_labels_belong_to_their_digits() -> None:
    """A digit lies nearer to the mean of its own class than to the others' nine times in ten."""
    train, held_out = load_digits("train"), load_digits("held_out")
    means = np.stack([train.images[train.labels == label].mean(0) for label in range(10)])
    apart = held_out.images[:, None].astype(np.float32) - means[None]
    nearest = (apart**2).sum((2, 3, 4)).argmin(1)
    assert (nearest == held_out.labels).mean() > 0.85


def test_every_class_is_in_every_part_by_the_same_share() -> None:
    for split, share in zip(get_args(Split), (0.6, 0.1, 0.3), strict=True):
        counts = np.bincount(load_digits(split).labels) / np.bincount(datasets.load_digits().target)
        np.testing.assert_allclose(counts, share, atol=0.01)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UsageError, match="no part 'test'") as refusal:
        load_digits("test")  # type: ignore[arg-type]
    assert "held_out" in refusal.value.hint


def test_written_digits_are_a_labelled_set_and_a_calibration_set(tmp_path: Path) -> None:
    assert write_digits(tmp_path, "calibration") == 180
    digits = load_digits("calibration")
    found = open_labelled(tmp_path, classes=CLASSES)
    assert len(found.items) == 180
    for item in found.items[::20]:
        index = int(item.path.stem)
        assert item.class_index == digits.labels[index]
        np.testing.assert_array_equal(read_image(item.path), digits.images[index])
    assert open_calibration(tmp_path).count == 180


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="file"):
        write_digits(tmp_path / "file", "calibration")
