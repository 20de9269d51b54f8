"""What a runtime must know to turn the samples of a sound into a picture.

It is a part of the contract. Standard library only, so that any device can read it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.errors import ContractError

MAX_RATE_HZ = 1_000_000
MAX_SAMPLES = 1 << 26
MAX_WINDOW = 1 << 16
MAX_COLUMNS = 16_384
_LOWEST_FLOOR_DB = -200.0

_HINT = "lengths are samples, low_hz is below high_hz, which is up to half of rate_hz"


@dataclass(frozen=True, slots=True)
class MelSpectrogram:
    """From a sound of one channel, samples from -1 to 1, to a gray picture.

    1. The `samples` in the middle are cut into `columns` pieces of `window`, one every `hop`.
    2. Each is weighed with Hann's window `w(n) = (1 - cos(2 pi n / window)) / 2` and transformed;
       `|2 X(k) / sum w|^2` is its power at `k * rate_hz / window`: 1 for a sine of full scale.
    3. `bands` triangles as high as 1 sum these powers. Their corners lie evenly on the mel scale
       `m = 2595 log10(1 + f / 700)` from `low_hz` to `high_hz` (O'Shaughnessy 1987, Speech
       communication; scale and triangles are those of Young et al., The HTK book, section 5.4).
    4. `10 log10(power)`, in dB, from `floor_db` (black, 0) to 0 (white, 255), rounded.

    The picture is (bands, columns), the highest band on top, time from left to right.
    """

    rate_hz: int
    samples: int
    window: int
    hop: int
    bands: int
    low_hz: float
    high_hz: float
    floor_db: float = -80.0

    def __post_init__(self) -> None:
        problem = _length_problem(self) or _frequency_problem(self) or _empty_band(self)
        if problem:
            raise ContractError(f"melspectrogram: {problem}", hint=_HINT)

    @property
    def columns(self) -> int:
        """How many pieces the sound is cut into."""
        return 1 + (self.samples - self.window) // self.hop

    @property
    def seconds(self) -> float:
        """How long it listens."""
        return self.samples / self.rate_hz


def default_melspectrogram(rate_hz: int, seconds: float) -> MelSpectrogram:
    """What suits most sounds: pieces of 25 ms or a little more, every 10 ms, in 64 bands.

    Slow recordings (below 8 kHz) have 32 bands. Raises ContractError for a rate or a length that
    cannot be.
    """
    if not 0 < seconds < math.inf:
        raise ContractError(f"melspectrogram: {seconds} s cannot be heard", hint=_HINT)
    return MelSpectrogram(
        rate_hz=rate_hz,
        samples=round(seconds * rate_hz),
        # A power of two, which is quickest.
        window=1 << math.ceil(math.log2(max(2.0, 0.025 * rate_hz))),
        hop=max(1, round(0.010 * rate_hz)),
        bands=64 if rate_hz >= 8000 else 32,
        low_hz=20.0,
        high_hz=rate_hz / 2,
    )


def melspectrogram_from_dict(values: Mapping[str, Any]) -> MelSpectrogram:
    """From plain JSON values; raises ContractError or TypeError."""
    known = {item.name for item in dataclasses.fields(MelSpectrogram)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ContractError(f"melspectrogram: unknown {unknown[0]!r}", hint=_HINT)
    return MelSpectrogram(**values)


def mel(hertz: float) -> float:
    """The pitch of a frequency in mel."""
    return 2595 * math.log10(1 + hertz / 700)


def hertz(mels: float) -> float:
    """The frequency of a pitch."""
    return float(700 * (10 ** (mels / 2595) - 1))


def corners_hz(spec: MelSpectrogram) -> tuple[float, ...]:
    """`bands` + 2 frequencies: a band starts at one, is highest at the next, ends at the third."""
    low, high = mel(spec.low_hz), mel(spec.high_hz)
    steps = spec.bands + 1
    return tuple(hertz(low + (high - low) * step / steps) for step in range(steps + 1))


def _length_problem(spec: MelSpectrogram) -> str | None:
    limits = (
        ("rate_hz", spec.rate_hz, MAX_RATE_HZ),
        ("samples", spec.samples, MAX_SAMPLES),
        ("window", spec.window, MAX_WINDOW),
        ("hop", spec.hop, MAX_SAMPLES),
        ("bands", spec.bands, MAX_WINDOW),
    )
    for name, value, most in limits:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            return f"{name} {value!r:.40} is not 1 to {most}"
    if not 2 <= spec.window <= spec.samples:
        return f"window {spec.window} is not 2 to {spec.samples} samples"
    return None if spec.columns <= MAX_COLUMNS else f"{spec.columns} columns are too many"


def _frequency_problem(spec: MelSpectrogram) -> str | None:
    for name in ("low_hz", "high_hz", "floor_db"):
        value = getattr(spec, name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"{name} {value!r:.40} is no number"
    if not 0 <= spec.low_hz < spec.high_hz <= spec.rate_hz / 2:
        return f"low_hz {spec.low_hz} to high_hz {spec.high_hz} cannot be heard at {spec.rate_hz}"
    if not _LOWEST_FLOOR_DB <= spec.floor_db < 0:
        return f"floor_db {spec.floor_db} is not {_LOWEST_FLOOR_DB:g} to below 0"
    return None


def _empty_band(spec: MelSpectrogram) -> str | None:
    """A band between two frequencies of the transform would be black, whatever is heard."""
    step = spec.rate_hz / spec.window
    corners = corners_hz(spec)
    for band in range(spec.bands):
        above = (math.floor(corners[band] / step) + 1) * step
        if above >= corners[band + 2]:
            return (
                f"{spec.bands} bands are too many: none of the frequencies of a window of "
                f"{spec.window} falls into band {band + 1}"
            )
    return None
