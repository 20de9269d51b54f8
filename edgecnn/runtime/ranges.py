"""How a few inner activations of an INT8 file use their integers, and what is usual of that.

Quantizing writes into the contract how it was on the images kept aside; a stream that is asked to
compares some of its frames with that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.runtime.drift import ADVICE, reached, usual_of

RANGES = "ranges"
"""Where in the contract's memory of what was usual it stands."""

_TAIL = 0.001  # of the values, on either side: single ones say nothing of a range
_CLIPPED_SLACK, _USED_SLACK = 0.002, 0.02  # less is no difference to recalibrate for


@dataclass(frozen=True, slots=True)
class Inner:
    """A quantized activation of a file; `floor` says that its lowest integer is a real zero."""

    name: str
    floor: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """How one activation used its integers for one image.

    `clipped` is the share of its values at an end of the integers (the zeros of a ReLU are none),
    `used` the share of the integers that its values span, but for 0.1 % of them on either side.
    """

    clipped: float
    used: float


@dataclass(frozen=True, slots=True)
class Usual:
    """What nearly all images like those kept aside stay within: how much is clipped at most."""

    inner: Inner
    clipped: float
    used: tuple[float, float]


def usage(integers: NDArray[Any], inner: Inner) -> Usage:
    """Of the uint8 or int8 values of an activation."""
    counts = np.bincount(integers.reshape(-1).view(np.uint8), minlength=256)
    if integers.dtype == np.int8:
        counts = np.roll(counts, 128)  # from -128 upwards
    ends = counts[255] + (0 if inner.floor else counts[0])
    tails = np.array([_TAIL, 1 - _TAIL]) * integers.size
    low, high = np.searchsorted(np.cumsum(counts), tails)
    return Usage(clipped=float(ends) / integers.size, used=float(high - low) / 255)


def usual_ranges(inners: Sequence[Inner], images: Sequence[Sequence[Usage]]) -> list[Any]:
    """What a contract remembers: for each activation bounds that all these images stay within."""
    found = []
    for inner, usages in zip(inners, zip(*images, strict=True), strict=True):
        _, clipped = _bounds([each.clipped for each in usages], _CLIPPED_SLACK)
        used = _bounds([each.used for each in usages], _USED_SLACK)
        found.append(
            {"tensor": inner.name, "floor": inner.floor, "clipped": clipped, "used": list(used)}
        )
    return found


def usual_ranges_of(contract: Contract) -> tuple[Usual, ...]:
    """What the contract remembers; nothing of float files and of those of earlier versions.

    A contract is free in its provenance, so it may be anything: what is not sane is nothing, too.
    """
    try:
        return tuple(map(_usual, (usual_of(contract) or {}).get(RANGES, ())))
    except (KeyError, TypeError, ValueError):
        return ()


def told(usuals: Sequence[Usual], looks: Sequence[Sequence[Usage]]) -> tuple[str, ...]:
    """What activations do otherwise than usual in most of the latest looks, if anything."""
    found = [
        text
        for usual, usages in zip(usuals, zip(*looks, strict=True), strict=True)
        for text in _differences(usual, usages)
    ]
    if not found:
        return ()
    otherwise = "layers use their integers otherwise than with the calibration images"
    return (f"{otherwise}: {', '.join(found)}; {ADVICE}",)


def _differences(usual: Usual, usages: Sequence[Usage]) -> Iterator[str]:
    clipped, used = [each.clipped for each in usages], [each.used for each in usages]
    name, (low, high) = usual.inner.name, usual.used
    if _mostly([share > usual.clipped for share in clipped]):
        yield f"{name} clips {median(clipped):.1%} (at most {usual.clipped:.1%} was usual)"
    if _mostly([not low <= share <= high for share in used]):
        yield f"{name} uses {median(used):.0%} of them ({low:.0%} to {high:.0%} was usual)"


def _mostly(outside: Sequence[bool]) -> bool:
    return 2 * sum(outside) > len(outside)


def _bounds(values: Sequence[float], slack: float) -> tuple[float, float]:
    below, above = reached(values, slack=slack)
    low, high = min(*values, below), max(*values, above)
    return _outwards(math.floor, max(low, 0.0)), _outwards(math.ceil, min(high, 1.0))


def _outwards(rounded: Callable[[float], int], share: float) -> float:
    return rounded(float(share) * 10_000) / 10_000


def _usual(found: Mapping[str, Any]) -> Usual:
    inner = Inner(str(found["tensor"]), bool(found["floor"]))
    low, high = found["used"]
    return Usual(inner, float(found["clipped"]), (float(low), float(high)))
