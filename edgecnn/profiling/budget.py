"""Whether INT8 stays within what may be lost: held, missed, or not to be told with so few images.

A budget is judged by the interval of the figure, not by the figure. The interval has to lie on one
side of the limit; where it does not, the number of images at which it would, if they went on as
they began, is part of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import UsageError
from edgecnn.profiling.statistics import (
    CONFIDENCE,
    Interval,
    paired_drop_interval,
    wilson_interval,
)

Metric = Literal["drop", "agreement"]
Answer = Literal["held", "missed", "cannot tell"]

_MOST_IMAGES = 10_000_000  # more than that is 'no number of images'


@dataclass(frozen=True, slots=True)
class Limit:
    """What INT8 may cost: `value` is the largest top-1 drop or the least agreement, 0..1."""

    metric: Metric
    value: float

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise UsageError(
                f"a budget of {self.value:.1%} is no share of the images",
                hint="for example --min-agreement 97% or --max-drop 0.5",
            )

    def allows(self, value: float) -> bool:
        """Whether a drop or an agreement, taken as exact, keeps to it."""
        return value <= self.value if self.metric == "drop" else value >= self.value

    def lost(self, value: float) -> float:
        """A drop or an agreement as what is lost, 0..1."""
        return max(0.0, value) if self.metric == "drop" else 1 - value


@dataclass(frozen=True, slots=True)
class Verdict:
    """A budget and what `images` images say of it.

    `interval` holds the drop or the agreement, 0..1, at `confidence`. `needed` is how many images
    would decide it, None where it is decided or where no number would.
    """

    limit: Limit
    answer: Answer
    interval: Interval
    images: int
    needed: int | None
    confidence: float

    @property
    def holds_at_best(self) -> bool:
        """Whether the figure itself, if not its whole interval, keeps to the budget."""
        return self.limit.allows(self.interval.value)

    def excess_db(self) -> float:
        """By how much the error of the answers must fall for the figure to keep to the budget.

        An answer flips where the error exceeds the lead of the best class. Leads near zero are
        about equally frequent, so flips grow in proportion to the error's amplitude.
        """
        if self.holds_at_best:
            return 0.0
        lost = self.limit.lost(self.interval.value)
        allowed = max(self.limit.lost(self.limit.value), lost / 4)  # a step of 12 dB at most
        return 20 * math.log10(lost / allowed)


def judge_drop(
    right_to_wrong: int, wrong_to_right: int, n: int, *, most: float, confidence: float = CONFIDENCE
) -> Verdict:
    """The top-1 drop of `n` image pairs against the most that may be lost, 0..1."""

    def interval(images: int) -> Interval:
        lost, won = _scaled(right_to_wrong, images, n), _scaled(wrong_to_right, images, n)
        return paired_drop_interval(lost, won, images, confidence=confidence)

    return _verdict(Limit("drop", most), interval, n, confidence)


def judge_agreement(
    agreeing: int, n: int, *, least: float, confidence: float = CONFIDENCE
) -> Verdict:
    """How many of `n` images have the same top-1 against the least share that is wanted, 0..1."""

    def interval(images: int) -> Interval:
        return wilson_interval(_scaled(agreeing, images, n), images, confidence=confidence)

    return _verdict(Limit("agreement", least), interval, n, confidence)


def _scaled(count: int, images: int, n: int) -> int:
    return count if images == n else round(count * images / n)


def _verdict(
    limit: Limit, interval: Callable[[int], Interval], n: int, confidence: float
) -> Verdict:
    found = interval(n)
    answer = _answer(limit, found)
    needed = None
    if answer == "cannot tell":
        needed = _needed(lambda images: _answer(limit, interval(images)) != "cannot tell", n)
    return Verdict(limit, answer, found, n, needed, confidence)


def _answer(limit: Limit, interval: Interval) -> Answer:
    allowed = limit.allows(interval.low), limit.allows(interval.high)
    if all(allowed):
        return "held"
    return "cannot tell" if any(allowed) else "missed"


def _needed(decides: Callable[[int], bool], n: int) -> int | None:
    """The number of images that decides, found by doubling and halving; None if none does."""
    low, high = n, 2 * n
    while not decides(high):
        low, high = high, 2 * high
        if high > _MOST_IMAGES:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
