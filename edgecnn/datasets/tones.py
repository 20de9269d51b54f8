"""Synthetic sounds in four classes, for trying out a network that listens: tones over noise.

A tone is steady, rising or falling by an octave, or there is only noise. Frequencies, beginnings,
loudness and the noise beneath are drawn by chance, so that no two are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from edgecnn.datasets.sounds import write_sound
from edgecnn.files import write_error
from edgecnn.runtime.spectrogram import Sound, sounded

Wave = NDArray[np.floating[Any]]

# Octaves that a tone rises in its time, None where there is none.
_RISES = {"falling": -1.0, "noise": None, "rising": 1.0, "steady": 0.0}
CLASSES = tuple(_RISES)
_LOWEST_HZ, _HIGHEST_HZ = 400.0, 1600.0
_RAMP_S = 0.01
# Deviation of the noise beneath, in dB of full scale, and of a tone's height likewise.
_NOISE_DB = (-55.0, -25.0)
_TONE_DB = (-25.0, -8.0)


def draw_tone(kind: str, index: int, *, seconds: float, rate_hz: int, seed: int) -> Sound:
    """The sound number `index` of a class and a seed (>= 0), float32 (samples,) from -1 to 1."""
    random = Generator(PCG64(SeedSequence((seed, CLASSES.index(kind), index))))
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = random.normal(0, _amplitude(random, _NOISE_DB), len(times_s))
    rise = _RISES[kind]
    if rise is not None:
        height = _amplitude(random, _TONE_DB) * _gate(random, times_s)
        sound += height * _tone(random, times_s, rise)
    return sounded(np.clip(sound, -1, 1).astype(np.float32), rate_hz)


def draw_tones(count: int, *, seconds: float, rate_hz: int, seed: int) -> Iterator[Sound]:
    """`count` sounds, the classes in turn."""
    for index in range(count):
        kind = CLASSES[index % len(CLASSES)]
        yield draw_tone(kind, index, seconds=seconds, rate_hz=rate_hz, seed=seed)


def write_tones(
    folder: Path, *, each: int, seconds: float = 1.0, rate_hz: int = 16_000, seed: int = 0
) -> int:
    """Write `each` sounds a class as WAV files, a folder per class; gives their number.

    Raises FileError where they cannot be written.
    """
    for kind in CLASSES:
        target = folder / kind
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(target, error) from error
        for index in range(each):
            sound = draw_tone(kind, index, seconds=seconds, rate_hz=rate_hz, seed=seed)
            write_sound(target / f"{index:03d}.wav", sound, rate_hz)
    return each * len(CLASSES)


def _amplitude(random: Generator, range_db: tuple[float, float]) -> float:
    return float(10 ** (random.uniform(*range_db) / 20))


def _gate(random: Generator, times_s: Wave) -> Wave:
    """When a tone sounds: two thirds of the time or more, with soft ends."""
    length_s = times_s[-1]
    on_s, off_s = random.uniform(0, length_s / 6), length_s - random.uniform(0, length_s / 6)
    return np.asarray(np.clip(np.minimum(times_s - on_s, off_s - times_s) / _RAMP_S, 0, 1))


def _tone(random: Generator, times_s: Wave, rise: float) -> Wave:
    """A sine whose pitch rises evenly by so many octaves; its phase is the sum of the frequency."""
    start_hz = np.exp(random.uniform(*np.log((_LOWEST_HZ, _HIGHEST_HZ))))
    frequencies_hz = start_hz * 2 ** (rise * times_s / times_s[-1])
    turns = np.cumsum(frequencies_hz) * times_s[1]
    return np.asarray(np.sin(2 * np.pi * turns))
