"""Drawn pictures stand in for photographs: the same statistics, the same bytes everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.datasets.natural import natural_image, natural_images


def test_pictures_are_what_a_camera_gives() -> None:
    pictures = list(natural_images(3, height=48, width=64, seed=5))
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 3
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert all(picture.flags["C_CONTIGUOUS"] for picture in pictures)


def test_a_seed_always_gives_the_same_bytes() -> None:
    first = list(natural_images(3, height=64, width=64, seed=5))
    again = list(natural_images(5, height=64, width=64, seed=5))
    for one, other in zip(first, again, strict=False):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first[2], natural_image(2, height=64, width=64, seed=5))


def test_the_bytes_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(natural_image(0, height=64, width=64, seed=0).tobytes()).hexdigest()
    assert digest == "20105d78020eee792029b7b3db106e7498c26af49942f09920feed93e407f7d0"


def test_pictures_and_seeds_differ() -> None:
    pictures = [*natural_images(8, height=64, width=64, seed=1)]
    pictures += natural_images(8, height=64, width=64, seed=2)
    for index, one in enumerate(pictures):
        for other in pictures[:index]:
            assert np.abs(one.astype(int) - other).mean() > 8


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 2**63))
def test_any_size_can_be_drawn(height: int, width: int, seed: int) -> None:
    assert natural_image(0, height=height, width=width, seed=seed).shape == (height, width, 3)


def test_brightness_contrast_and_colour_are_those_of_photographs() -> None:
    pictures = np.stack(list(natural_images(24, height=160, width=160, seed=3))) / 255
    means, spreads = pictures.mean((1, 2)), pictures.std((1, 2))
    assert 0.35 < means.mean() < 0.55
    assert 0.12 < spreads.mean() < 0.25
    assert ((means > 0.1) & (means < 0.9)).all()
    assert (spreads > 0.04).all()
    assert (pictures == 1).mean() < 0.05  # hardly anything is overexposed
    colourfulness = (pictures.max(3) - pictures.min(3)).mean()
    assert 0.05 < colourfulness < 0.3  # neither grey nor gaudy


def test_the_power_spectrum_falls_as_that_of_photographs() -> None:
    """Noise would be flat (0), a smooth gradient steeper than -3; 228 photos gave -2.5 here."""
    slopes = [
        spectral_slope(picture) for picture in natural_images(24, height=224, width=224, seed=4)
    ]
    assert -2.6 < np.mean(slopes) < -1.6
    assert min(slopes) > -3.1


def spectral_slope(picture: np.ndarray) -> float:
    """The exponent of the radially averaged power spectrum, at 4 to 74 cycles a picture."""
    grey = picture @ [0.299, 0.587, 0.114]
    side = len(grey)
    window = np.hanning(side)
    power = (
        np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * np.outer(window, window)))) ** 2
    )
    row, column = np.indices(power.shape) - side // 2
    radius = np.hypot(row, column).astype(int).ravel()
    radial = np.bincount(radius, power.ravel()) / np.bincount(radius)
    frequency = np.arange(4, side // 3)
    return float(np.polyfit(np.log(frequency), np.log(radial[frequency]), 1)[0])
