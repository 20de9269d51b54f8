"""Does the camera still see what the file was calibrated for?

Quantizing writes into the contract what was usual on the images kept aside: the mean and the
deviation of their input values, and how sure the network was. A stream compares with that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.contract import Contract
from edgecnn.runtime.preprocess import Tensor

_EVERY = 4  # pixels, in both directions: enough for a mean
_SPREAD = 3.0  # standard deviations
_FRAMES = 300  # the latest, ten seconds of a camera; none is judged before
ADVICE = "recalibrate: edgecnn calibrate --camera SOURCE"


@dataclass(frozen=True, slots=True)
class Glance:
    """One image as the network gets it; `confidence` is the best class's share, if there is one."""

    mean: float
    deviation: float
    confidence: float | None


def glance(tensor: Tensor, layout: str, confidence: float | None) -> Glance:
    """Of a preprocessed batch of one, some of its values."""
    pixels = tensor[0] if layout == "NHWC" else tensor[0].transpose(1, 2, 0)
    some = pixels[::_EVERY, ::_EVERY]
    return Glance(float(some.mean()), float(some.std()), confidence)


def usual(glances: Sequence[Glance]) -> dict[str, Any]:
    """What a contract remembers of images: bounds that nearly all of their like stay within."""
    found: dict[str, Any] = {"images": len(glances)}
    for name in ("mean", "deviation"):
        values = np.array([getattr(each, name) for each in glances])
        reach = _SPREAD * float(values.std())
        found[name] = [round(float(values.mean()) + side * reach, 4) for side in (-1, 1)]
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


class DriftWatch:
    """Compares the latest frames with what was usual; without a memory of that it says nothing."""

    def __init__(self, contract: Contract) -> None:
        self._usual = _checked(usual_of(contract))
        self._outside: deque[tuple[bool, bool, bool]] = deque(maxlen=_FRAMES)

    @property
    def watched(self) -> tuple[str, ...]:
        """What there is to compare with: `input`, `confidence`."""
        if self._usual is None:
            return ()
        return ("input", "confidence") if self._usual[-1] > 0 else ("input",)

    def add(self, seen: Glance) -> None:
        """One frame."""
        if self._usual is None:
            return
        (mean_low, mean_high), (low, high), least = self._usual
        self._outside.append(
            (
                not mean_low <= seen.mean <= mean_high,
                not low <= seen.deviation <= high,
                seen.confidence is not None and seen.confidence < least,
            )
        )

    def messages(self) -> tuple[str, ...]:
        """What most of the latest 300 frames have that calibration images had not."""
        frames = tuple(self._outside)
        if len(frames) < _FRAMES:
            return ()
        names = ("brighter or darker", "flatter or harsher", "less surely named")
        shares = np.mean(frames, axis=0)
        return tuple(
            f"{share:.0%} of the latest frames are {name} than the calibration images; {ADVICE}"
            for name, share in zip(names, shares, strict=True)
            if share > 0.5
        )


_Bounds = tuple[tuple[float, float], tuple[float, float], float]


def _checked(found: Mapping[str, Any] | None) -> _Bounds | None:
    """The bounds as numbers; a contract is free in its provenance, so they may be anything."""
    try:
        if found is None:
            return None
        (mean_low, mean_high), (low, high) = found["mean"], found["deviation"]
        least = found.get("confidence", 0.0)
        return (float(mean_low), float(mean_high)), (float(low), float(high)), float(least)
    except (KeyError, TypeError, ValueError):
        return None
