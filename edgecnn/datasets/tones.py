"""Synthetic sounds in four classes, for trying out a network that listens: tones over noise.

beep: one frequency. chord: three of them in a major triad. sweep: a frequency that rises or falls
by an octave. noise: no tone at all. Frequencies, beginnings, loudness and the noise beneath are
drawn by chance, so that no two are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from edgecnn.datasets.sounds import write_sound
from edgecnn.files import write_error
from edgecnn.runtime.spectrogram import Sound, sounded

Wave = NDArray[np.floating[Any]]

_LOWEST_HZ, _HIGHEST_HZ = 250.0, 1500.0
_RAMP_S = 0.01
_TRIAD = (1.0, 5 / 4, 3 / 2)
# Deviation of the noise beneath, in dB of full scale, and of a tone's height likewise.
_NOISE_DB = (-55.0, -25.0)
_TONE_DB = (-25.0, -8.0)


def draw_tone(kind: str, index: int, *, seconds: float, rate_hz: int, seed: int) -> Sound:
    """The sound number `index` of a class and a seed (>= 0), float32 (samples,) from -1 to 1."""
    random = Generator(PCG64(SeedSequence((seed, CLASSES.index(kind), index))))
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = random.normal(0, _amplitude(random, _NOISE_DB), len(times_s))
    sound += _amplitude(random, _TONE_DB) * _KINDS[kind](random, times_s) * _gate(random, times_s)
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


def _frequency(random: Generator) -> float:
    return float(np.exp(random.uniform(np.log(_LOWEST_HZ), np.log(_HIGHEST_HZ))))


def _beep(random: Generator, times_s: Wave) -> Wave:
    return np.asarray(np.sin(2 * np.pi * _frequency(random) * times_s))


def _chord(random: Generator, times_s: Wave) -> Wave:
    root_hz = _frequency(random)
    tones = [np.sin(2 * np.pi * root_hz * times * times_s) for times in _TRIAD]
    return np.asarray(np.mean(tones, axis=0))


def _sweep(random: Generator, times_s: Wave) -> Wave:
    """The phase is the integral of a frequency that doubles, or halves, in even steps of pitch."""
    octaves = random.choice((-1, 1)) / times_s[-1]
    turns = _frequency(random) * (2 ** (octaves * times_s) - 1) / (octaves * np.log(2))
    return np.asarray(np.sin(2 * np.pi * turns))


def _nothing(_: Generator, times_s: Wave) -> Wave:
    return np.zeros_like(times_s)


_KINDS: dict[str, Callable[[Generator, Wave], Wave]] = {
    "beep": _beep,
    "chord": _chord,
    "sweep": _sweep,
    "noise": _nothing,
}
CLASSES = tuple(_KINDS)
