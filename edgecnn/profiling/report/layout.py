"""Where things go on a plot: axis ticks that read well, and labels that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["above right", "above left", "below right", "below left"]

_LADDERS = (
    (1.0, 10.0), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
)  # fmt: skip
_FEWEST_TICKS = 5
_CHAR_PX = 6.6
_LINE_PX = 14.0
_GAP_PX = 3.0
_OUTSIDE = 100  # a label that is cut off is worse than one that covers something
_SIDES: tuple[Side, ...] = ("above right", "above left", "below right", "below left")


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones, about evenly spaced on a log scale."""
    ticks: list[float] = []
    for ladder in _LADDERS:
        ticks = [tick for tick in _rungs(ladder, low, high) if low <= tick <= high]
        if len(ticks) >= _FEWEST_TICKS:
            break
    return ticks


def _rungs(ladder: Sequence[float], low: float, high: float) -> Iterator[float]:
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (float(f"{rung * 10.0**exponent:.6g}") for rung in ladder if rung < 10)


@dataclass(frozen=True, slots=True)
class Dot:
    """A bubble on the plot, in pixels from the top left."""

    x: float
    y: float
    radius: float

    @property
    def box(self) -> Box:
        """What it covers."""
        return Box(
            self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius
        )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the plot, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def hits(self, other: Box) -> bool:
        """Whether two boxes overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, width: float, height: float) -> bool:
        """Whether it lies on a plot of this size."""
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a label goes: at which of its dots, and on which side of it."""

    dot: int
    side: Side


def place_labels(
    texts: Sequence[str], dots: Sequence[Sequence[Dot]], *, width: float, height: float
) -> tuple[Placed, ...]:
    """One place for each text at one of its own dots, with the fewest other things under it.

    Labels stand askew of their dots, since intervals leave a dot straight up and sideways. Of
    equally good places the earlier dot and the upper right come first.
    """
    taken = [dot.box for group in dots for dot in group]
    placed = []
    for text, group in zip(texts, dots, strict=True):
        places = [Placed(index, side) for index in range(len(group)) for side in _SIDES]
        boxes = [label_box(text, group[place.dot], place.side) for place in places]
        costs = [sum(map(box.hits, taken)) for box in boxes]
        costs = [
            cost if box.within(width, height) else cost + _OUTSIDE
            for cost, box in zip(costs, boxes, strict=True)
        ]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        placed.append(places[best])
    return tuple(placed)


def label_offset(dot: Dot) -> float:
    """How far a label starts from the middle of its dot, across and up or down, in pixels."""
    return dot.radius * math.sqrt(0.5) + _GAP_PX


def label_box(text: str, dot: Dot, side: Side) -> Box:
    """What a text covers beside a dot."""
    across, reach = len(text) * _CHAR_PX, label_offset(dot)
    left = dot.x + reach if side.endswith("right") else dot.x - reach - across
    top = dot.y - reach - _LINE_PX if side.startswith("above") else dot.y + reach
    return Box(left, top, left + across, top + _LINE_PX)
