"""Where scikit-learn or scikit-image is installed, their photographs can teach a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest

import edgecnn
from edgecnn.datasets.photos import Photo, packaged_photos, photo_crop, photo_crops

FIRST_CROP = """
from edgecnn.datasets.photos import packaged_photos, photo_crops
from edgecnn.errors import DataError
assert packaged_photos() == ()
try:
    photo_crops(1, seed=0)
except DataError as refusal:
    print(refusal, "|", refusal.hint)
"""


def test_the_packaged_photos_are_real_and_different() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    photos = packaged_photos()
    assert {"china", "astronaut", "chelsea", "coffee"} <= {photo.name for photo in photos}
    for photo in photos:
        assert photo.image.dtype == np.uint8
        assert photo.image.shape[2] == 3
        assert min(photo.image.shape[:2]) >= 300
        assert photo.image.std() > 20


def striped(height: int, width: int) -> Photo:
    """Each pixel tells its row (red) and column (green)."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[..., 0], image[..., 1] = np.arange(height)[:, None], np.arange(width)[None, :]
    return Photo("stripes", image)


def test_crops_are_pieces_of_any_size_and_shape_mirrored_or_not() -> None:
    photo = striped(200, 240)
    crops = [photo_crop((photo,), index, seed=1, min_side=40) for index in range(200)]
    areas = [crop.shape[0] * crop.shape[1] / (200 * 240) for crop in crops]
    aspects = [crop.shape[1] / crop.shape[0] for crop in crops]
    assert 0.05 < min(areas) < 0.2 < 0.8 < max(areas) <= 1
    assert 0.74 < min(aspects) < 0.9 < 1.1 < max(aspects) < 1.34
    mirrored = 0
    for crop in crops:
        assert min(crop.shape[:2]) >= 40
        assert crop.flags["C_CONTIGUOUS"]
        row, step = crop[:, 0, 0].astype(int), int(crop[0, 1, 1]) - int(crop[0, 0, 1])
        assert (np.diff(row) == 1).all()
        assert step in (-1, 1)
        mirrored += step == -1
    assert 60 < mirrored < 140


def test_a_photo_below_the_least_side_is_taken_whole() -> None:
    assert photo_crop((striped(30, 20),), 0, seed=1, min_side=128).shape == (30, 20, 3)


def test_a_seed_always_gives_the_same_crops() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    for one, other in zip(photo_crops(9, seed=3), photo_crops(20, seed=3), strict=False):
        np.testing.assert_array_equal(one, other)
    other_seed = next(photo_crops(1, seed=4))
    assert not np.array_equal(next(photo_crops(1, seed=3)), other_seed)


def test_without_the_packages_the_advice_is_to_install_them(tmp_path: Path) -> None:
    for package in (edgecnn, np, PIL):
        installed = Path(str(package.__file__)).parent
        (tmp_path / installed.name).symlink_to(installed)
    # -S leaves the installed packages out: only those linked above are there.
    run = subprocess.run(
        [sys.executable, "-S", "-c", FIRST_CROP],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert "neither scikit-learn nor scikit-image" in run.stdout
    assert "pip install 'edgecnn[demo]'" in run.stdout
