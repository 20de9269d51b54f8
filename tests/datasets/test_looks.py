"""One glance at an image tells its content, its layout and its light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.datasets.looks import Drawn, Files
from edgecnn.datasets.natural import natural_image
from edgecnn.errors import DataError


def save(path: Path, pixels: np.typing.NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_light_is_the_mean_and_the_spread_of_grey(tmp_path: Path) -> None:
    halves = np.full((100, 100, 3), 50, np.uint8)
    halves[:, 50:] = 150
    look = Files((save(tmp_path / "halves.png", halves),)).look(0)
    assert (look.brightness, look.contrast) == pytest.approx((100, 50), abs=0.5)
    night = Files((save(tmp_path / "night.png", np.full((64, 80, 3), 3, np.uint8)),)).look(0)
    assert (night.brightness, night.contrast) == (3, 0)


def test_a_file_and_a_drawing_of_the_same_look_alike(tmp_path: Path) -> None:
    pixels = natural_image(3, height=96, width=128, seed=0)
    drawn = Drawn(4, lambda index: natural_image(index, height=96, width=128, seed=0))
    files = Files((save(tmp_path / "three.png", pixels),))
    assert files.look(0).fingerprint == drawn.look(3).fingerprint
    assert files.look(0).brightness == drawn.look(3).brightness
    assert files.look(0).digest != drawn.look(3).digest  # of the file's bytes, of the pixels
    assert (files.label(0), drawn.label(3)) == ("three.png", "image 3")


@pytest.mark.parametrize("name", ["noise.png", "noise.jpg"])
def test_noise_is_known_by_pixels_that_know_nothing_of_each_other(
    tmp_path: Path, name: str
) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (240, 320, 3)).astype(np.uint8)
    look = Files((save(tmp_path / name, noise),)).look(0)
    assert abs(look.smoothness) < 0.1
    assert look.is_noise
    natural = Drawn(8, lambda index: natural_image(index, height=96, width=128, seed=0))
    for index in range(natural.count):
        assert natural.look(index).smoothness > 0.7
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255
    for pixels in (stripes, np.full((40, 60, 3), 7, np.uint8)):
        assert not Drawn(1, lambda _, pixels=pixels: pixels).look(0).is_noise  # type: ignore[misc]


def test_a_large_photo_keeps_its_light_when_it_is_read_roughly(tmp_path: Path) -> None:
    pixels = natural_image(0, height=480, width=640, seed=2)
    look = Files((save(tmp_path / "photo.png", pixels),)).look(0)
    Image.fromarray(pixels).resize((2560, 1920)).save(tmp_path / "photo.jpg", quality=95)
    rough = Files((tmp_path / "photo.jpg",)).look(0)
    assert rough.brightness == pytest.approx(look.brightness, abs=2)
    assert rough.contrast == pytest.approx(look.contrast, rel=0.15)


def test_what_is_no_image_has_no_look(tmp_path: Path) -> None:
    (tmp_path / "fake.jpg").write_text("not a picture")
    with pytest.raises(DataError, match=r"fake\.jpg: not an image"):
        Files((tmp_path / "fake.jpg",)).look(0)
