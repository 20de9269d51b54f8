"""From the samples of a sound to the gray picture that a network looks at, in NumPy alone.

`edgecnn.melspectrogram` states the formulas.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.melspectrogram import MelSpectrogram, corners_hz

Samples = NDArray[Any]  # (n,) float from -1 to 1, or int16

if TYPE_CHECKING:
    _Array = NDArray[np.float32]
else:
    _Array = np.ndarray

_FULL_SCALE = 32768  # of int16
_BLOCK = 256  # pieces that are transformed at a time: memory does not grow with the sound


class Sound(_Array):
    """Samples (n,), float32 from -1 to 1, that know how many of them make a second."""

    rate_hz: int | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.rate_hz = getattr(source, "rate_hz", None)


def sounded(samples: NDArray[np.float32], rate_hz: int) -> Sound:
    """The same samples with their rate."""
    sound = samples.view(Sound)
    sound.rate_hz = rate_hz
    return sound


def is_sound(given: object) -> TypeGuard[Samples]:
    """Whether an array holds samples rather than pixels: those have no second axis of bytes."""
    return isinstance(given, np.ndarray) and (isinstance(given, Sound) or given.ndim == 1)


def melspectrogram(samples: Samples, spec: MelSpectrogram) -> NDArray[np.uint8]:
    """The picture of a sound, uint8 (bands, columns, 3), all channels equal.

    Float samples are from -1 to 1, int16 ones from -32768; of a longer sound the middle is heard.
    Raises DataError for a shorter one, another rate, several channels or another type.
    """
    heard = clip(samples, spec)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
    window *= 2 / window.sum()
    pieces = np.lib.stride_tricks.sliding_window_view(heard, spec.window)[:: spec.hop]
    picture = np.empty((spec.bands, spec.columns), np.uint8)
    for start in range(0, spec.columns, _BLOCK):
        transformed = np.fft.rfft(pieces[start : start + _BLOCK] * window, axis=1)
        powers = (transformed.real**2 + transformed.imag**2) @ _triangles(spec)
        picture[::-1, start : start + _BLOCK] = _gray(powers, spec.floor_db).T
    return np.repeat(picture[:, :, None], 3, axis=2)


def clip(samples: Samples, spec: MelSpectrogram) -> NDArray[np.float64]:
    """What is listened to, float64 (samples,); raises DataError as `melspectrogram` does."""
    rate_hz = getattr(samples, "rate_hz", None)
    if rate_hz not in (None, spec.rate_hz):
        raise DataError(
            f"a sound of {rate_hz} samples a second; {spec.rate_hz} are listened to",
            hint=f"convert it: ffmpeg -i IN.wav -ar {spec.rate_hz} OUT.wav",
        )
    values = _one_channel(samples)
    if len(values) < spec.samples:
        raise DataError(
            f"a sound of {len(values) / spec.rate_hz:.3g} s is too short; {spec.seconds:.3g} s "
            "are listened to",
            hint="give a longer recording, or train for a shorter one: --seconds",
        )
    start = (len(values) - spec.samples) // 2
    heard: NDArray[np.float64] = values[start : start + spec.samples].astype(np.float64)
    if values.dtype == np.int16:
        heard /= _FULL_SCALE
    if not np.isfinite(heard).all():
        raise DataError("a sound with samples that are no numbers", hint="record it again")
    return heard


def _one_channel(samples: Samples) -> NDArray[Any]:
    values = np.asarray(samples)
    if values.ndim != 1:
        raise DataError(
            f"a sound of shape {values.shape}; one channel, (samples,), is listened to",
            hint="choose a channel: sound[:, 0]",
        )
    if values.dtype != np.int16 and values.dtype.kind != "f":
        raise DataError(
            f"a sound of type {values.dtype}", hint="samples are int16, or floats from -1 to 1"
        )
    return values


@functools.lru_cache(maxsize=8)
def _triangles(spec: MelSpectrogram) -> NDArray[np.float64]:
    """What each frequency counts in each band, (window // 2 + 1, bands)."""
    frequencies = np.arange(spec.window // 2 + 1)[:, None] * (spec.rate_hz / spec.window)
    corners = np.array(corners_hz(spec))
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies - left) / (middle - left)
    falling = (right - frequencies) / (right - middle)
    triangles: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return triangles


def _gray(powers: NDArray[np.float64], floor_db: float) -> NDArray[np.uint8]:
    levels_db = 10 * np.log10(np.maximum(powers, 10 ** (floor_db / 10)))
    shades = np.rint((levels_db - floor_db) * (255 / -floor_db))
    return np.clip(shades, 0, 255).astype(np.uint8)
