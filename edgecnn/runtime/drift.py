"""Does the camera still see what the file was calibrated for?

Quantizing writes into the contract what was usual on the images kept aside: the mean and the
deviation of their input values, their colours, and how sure the network was. A stream compares
with that.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.contract import Contract
from edgecnn.runtime.preprocess import Tensor

_EVERY = 4  # pixels, in both directions: enough for a mean
_SPREAD = 3.0  # standard deviations
_TINT_SLACK = 0.02  # of normalised values: a step or two of 255; gray images have no deviation
_FRAMES = 300  # the latest, ten seconds of a camera; none is judged before
ADVICE = "recalibrate: edgecnn calibrate --camera SOURCE"


@dataclass(frozen=True, slots=True)
class Glance:
    """One image as the network gets it; `confidence` is the best class's share, if there is one.

    `tint` says how far the first channel's mean is above the last one's, and the middle one's above
    both.
    """

    mean: float
    deviation: float
    confidence: float | None
    tint: tuple[float, float] = (0.0, 0.0)


def glance(tensor: Tensor, layout: str, confidence: float | None) -> Glance:
    """Of a preprocessed batch of one, some of its values."""
    pixels = tensor[0] if layout == "NHWC" else tensor[0].transpose(1, 2, 0)
    some = pixels[::_EVERY, ::_EVERY]
    first, middle, last = some[..., [0, some.shape[2] // 2, -1]].mean((0, 1)).tolist()
    tint = (first - last, middle - (first + last) / 2)
    return Glance(float(some.mean()), float(some.std()), confidence, tint)


def usual(glances: Sequence[Glance]) -> dict[str, Any]:
    """What a contract remembers of images: bounds that nearly all of their like stay within."""
    found: dict[str, Any] = {"images": len(glances)}
    for name in ("mean", "deviation"):
        found[name] = _bounds([getattr(each, name) for each in glances], 0.0)
    tints = zip(*(each.tint for each in glances), strict=True)
    found["tint"] = [_bounds(values, _TINT_SLACK) for values in tints]
    sure = [each.confidence for each in glances if each.confidence is not None]
    if sure:
        found["confidence"] = round(min(sure), 4)
    return found


def usual_of(contract: Contract) -> Mapping[str, Any] | None:
    """What the contract remembers, or None: of float files, and of those of earlier versions."""
    for step in reversed(contract.provenance.get("steps", ())):
        found = step.get("usual")
        if isinstance(found, Mapping):
            return found
    return None


def reached(values: Sequence[float], *, slack: float) -> tuple[float, float]:
    """What nearly all values like these lie within; `slack` is added on either side."""
    middle, reach = float(np.mean(values)), _SPREAD * float(np.std(values)) + slack
    return middle - reach, middle + reach


class DriftWatch:
    """Compares the latest frames with what was usual; without a memory of that it says nothing."""

    def __init__(self, contract: Contract) -> None:
        self._usual = _checked(usual_of(contract))
        self._outside: deque[tuple[bool, ...]] = deque(maxlen=_FRAMES)

    @property
    def watched(self) -> tuple[str, ...]:
        """What there is to compare with: `input`, `confidence`."""
        if self._usual is None:
            return ()
        return ("input", "confidence") if self._usual.confidence > 0 else ("input",)

    def add(self, seen: Glance) -> None:
        """One frame."""
        if self._usual is not None:
            self._outside.append(self.compared(seen))

    def compared(self, seen: Glance) -> tuple[bool, ...]:
        """Whether a frame is outside of what was usual: light, contrast, colour, confidence."""
        usual = self._usual
        if usual is None:
            return (False,) * 4
        return (
            not _within(seen.mean, usual.mean),
            not _within(seen.deviation, usual.deviation),
            not all(map(_within, seen.tint, usual.tint)),
            seen.confidence is not None and seen.confidence < usual.confidence,
        )

    def messages(self) -> tuple[str, ...]:
        """What most of the latest 300 frames have that calibration images had not."""
        frames = tuple(self._outside)
        if len(frames) < _FRAMES:
            return ()
        names = (
            "brighter or darker", "flatter or harsher", "otherwise coloured", "less surely named"
        )  # fmt: skip
        shares = np.mean(frames, axis=0)
        return tuple(
            f"{share:.0%} of the latest frames are {name} than the calibration images; {ADVICE}"
            for name, share in zip(names, shares, strict=True)
            if share > 0.5
        )


_Bounds = tuple[float, float]
_OPEN: _Bounds = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class _Usual:
    mean: _Bounds
    deviation: _Bounds
    tint: tuple[_Bounds, _Bounds]
    confidence: float


def _checked(found: Mapping[str, Any] | None) -> _Usual | None:
    """The bounds as numbers; a contract is free in its provenance, so they may be anything."""
    try:
        if found is None:
            return None
        across, middle = found.get("tint", (_OPEN, _OPEN))  # earlier versions knew none
        return _Usual(
            mean=_pair(found["mean"]),
            deviation=_pair(found["deviation"]),
            tint=(_pair(across), _pair(middle)),
            confidence=float(found.get("confidence", 0.0)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _pair(found: Any) -> _Bounds:
    low, high = found
    return float(low), float(high)


def _within(value: float, bounds: _Bounds) -> bool:
    return bounds[0] <= value <= bounds[1]


def _bounds(values: Sequence[float], slack: float) -> list[float]:
    return [round(bound, 4) for bound in reached(values, slack=slack)]
