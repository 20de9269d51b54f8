"""What is heard becomes the picture that the formulas say, or is refused with the reason."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.errors import ContractError, DataError
from edgecnn.melspectrogram import MelSpectrogram, corners_hz, default_melspectrogram, hertz, mel
from edgecnn.runtime.preprocess import picture, preprocess, resized, settled
from edgecnn.runtime.spectrogram import melspectrogram, sounded

SPEC = MelSpectrogram(
    rate_hz=8000, samples=480, window=160, hop=80, bands=12, low_hz=50, high_hz=4000
)
LOOKS = Preprocess(size=(12, 5), color="GRAY", mean=(0.5,), std=(0.5,), melspectrogram=SPEC)


def reference(samples: NDArray[Any], spec: MelSpectrogram) -> NDArray[np.float64]:
    """The definition with nothing spared: a sum for each frequency, a triangle for each band."""
    start = (len(samples) - spec.samples) // 2
    rows = np.empty((spec.bands, spec.columns))
    n = np.arange(spec.window)
    hann = (1 - np.cos(2 * np.pi * n / spec.window)) / 2
    wave = np.exp(-2j * np.pi * np.outer(np.arange(spec.window // 2 + 1), n) / spec.window)
    frequencies = np.arange(spec.window // 2 + 1) * spec.rate_hz / spec.window
    for column in range(spec.columns):
        first = start + column * spec.hop
        spectrum = wave @ (samples[first : first + spec.window] * hann)
        powers = np.abs(2 * spectrum / hann.sum()) ** 2
        for band in range(spec.bands):
            mels = np.linspace(
                2595 * math.log10(1 + spec.low_hz / 700),
                2595 * math.log10(1 + spec.high_hz / 700),
                spec.bands + 2,
            )[band : band + 3]
            corners = 700 * (10 ** (mels / 2595) - 1)
            heard = np.sum(powers * np.interp(frequencies, corners, (0, 1, 0), left=0, right=0))
            level_db = 10 * math.log10(max(heard, 1e-30))
            rows[spec.bands - 1 - band, column] = np.clip(
                255 * (level_db - spec.floor_db) / -spec.floor_db, 0, 255
            )
    return rows


def sine(frequency_hz: float, spec: MelSpectrogram, height: float = 1.0) -> NDArray[np.float32]:
    times_s = np.arange(spec.samples) / spec.rate_hz
    return (height * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float32, st.integers(480, 520), elements=st.floats(-1, 1, width=32)),
    st.sampled_from(
        (
            SPEC,
            replace(SPEC, window=128, hop=37, bands=7, floor_db=-60.0),
            replace(SPEC, low_hz=300, high_hz=2500, bands=9),
        )
    ),
)
def test_it_is_the_definition_to_half_a_shade(
    samples: NDArray[np.float32], spec: MelSpectrogram
) -> None:
    found = melspectrogram(samples, spec)
    assert found.shape == (spec.bands, spec.columns, 3)
    assert found.dtype == np.uint8
    assert (found[:, :, 0] == found[:, :, 2]).all()
    assert np.abs(found[:, :, 0] - reference(samples, spec)).max() <= 0.5 + 1e-6


def test_a_long_sound_in_blocks_is_the_definition_too() -> None:
    spec = replace(SPEC, samples=160 + 300 * 8, hop=8)
    samples = np.random.default_rng(0).normal(0, 0.1, spec.samples)
    assert spec.columns == 301
    found = melspectrogram(samples, spec)[:, :, 0]
    assert np.abs(found - reference(samples, spec)).max() <= 0.5 + 1e-6


def test_a_sine_of_full_scale_is_white_in_its_band_and_highest_on_top() -> None:
    low, high = 500.0, 3000.0  # both fall on a frequency of the transform
    for frequency_hz, above in ((low, False), (high, True)):
        shades = melspectrogram(sine(frequency_hz, SPEC), SPEC)[:, 2, 0]
        brightest = int(shades.argmax())
        assert shades[brightest] >= 250
        assert (brightest < SPEC.bands // 2) == above
        corners = corners_hz(SPEC)[SPEC.bands - 1 - brightest :][:3]
        assert corners[0] < frequency_hz < corners[2]
    assert not melspectrogram(np.zeros(480, np.float32), SPEC).any()


def test_a_tenth_of_the_height_is_20_db_less() -> None:
    loud, quiet = (melspectrogram(sine(500, SPEC, height), SPEC) for height in (0.5, 0.05))
    assert int(loud.max()) - int(quiet.max()) == pytest.approx(255 * 20 / 80, abs=1)


@given(st.floats(0, 20_000))
def test_mel_and_back(frequency_hz: float) -> None:
    assert hertz(mel(frequency_hz)) == pytest.approx(frequency_hz, abs=1e-6)
    assert mel(1000) == pytest.approx(1000, abs=0.02)  # what the scale was made for


def test_int16_is_the_same_sound_and_of_a_longer_one_the_middle_is_heard() -> None:
    whole = np.rint(sine(700, SPEC, 0.5) * 32768).astype(np.int16)
    expected = melspectrogram(whole / 32768, SPEC)
    assert (melspectrogram(whole, SPEC) == expected).all()
    longer = np.concatenate([np.ones(50, np.int16) * 30000, whole, np.ones(51, np.int16) * 30000])
    assert (melspectrogram(longer, SPEC) == expected).all()


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.zeros(479, np.float32), "a sound of 0.0599 s is too short; 0.06 s"),
        (sounded(np.zeros(480, np.float32), 44_100), "of 44100 samples a second; 8000"),
        (sounded(np.zeros((480, 2), np.float32), 8000), r"shape \(480, 2\); one channel"),
        (np.zeros(480, np.int32), "a sound of type int32"),
        (np.full(480, np.nan), "samples that are no numbers"),
    ],
)
def test_what_cannot_be_listened_to_is_refused(samples: NDArray[Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        preprocess(samples, LOOKS)


def test_a_sound_goes_the_way_of_an_image() -> None:
    samples = sounded(sine(900, SPEC), 8000)
    shades = melspectrogram(samples, SPEC)
    tensor = preprocess(samples, LOOKS)
    assert tensor.shape == (1, 1, 12, 5)
    np.testing.assert_allclose(tensor[0, 0], shades[:, :, 0] / 127.5 - 1, atol=1e-6)
    # Kept at the network's size, nothing is heard twice; its picture stands for it.
    kept = resized(samples, LOOKS)
    assert (preprocess(kept, settled(LOOKS)) == tensor).all()
    assert (preprocess(picture(samples, LOOKS), LOOKS) == tensor).all()
    stretched = preprocess(samples, replace(LOOKS, size=(24, 20)))
    assert stretched.shape == (1, 1, 24, 20)
    with pytest.raises(DataError, match="is no image"):
        preprocess(samples, replace(LOOKS, melspectrogram=None))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rate_hz": 0}, "rate_hz 0"),
        ({"rate_hz": 8000.0}, "rate_hz 8000.0"),
        ({"window": 481}, "window 481 is not 2 to 480"),
        ({"hop": True}, "hop True"),
        ({"low_hz": 4000}, "cannot be heard"),
        ({"high_hz": 4001}, "cannot be heard"),
        ({"low_hz": "50"}, "low_hz '50' is no number"),
        ({"high_hz": math.nan}, "cannot be heard"),
        ({"floor_db": 0}, "floor_db 0"),
        ({"bands": 100}, "100 bands are too many"),
        ({"samples": 1 << 24, "hop": 1}, "columns are too many"),
    ],
)
def test_a_spectrogram_that_cannot_be_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError, match=told):
        replace(SPEC, **change)


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf])
def test_no_time_is_too_short_to_listen(seconds: float) -> None:
    with pytest.raises(ContractError, match="cannot be heard"):
        default_melspectrogram(16_000, seconds)


@given(st.integers(4000, 192_000), st.floats(0.1, 30))
def test_the_default_hears_every_band_at_any_usual_rate(rate_hz: int, seconds: float) -> None:
    spec = default_melspectrogram(rate_hz, seconds)
    assert spec.seconds == pytest.approx(seconds, abs=1 / rate_hz)
    assert 0.025 * rate_hz <= spec.window < 0.05 * rate_hz + 2
