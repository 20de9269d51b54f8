"""Which of several runs is faster on this device: block by block, all of them in every block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgecnn.runtime.measure import Run, measure, middle, warm_up

BLOCKS = 12
_BLOCK_NS = 40_000_000
_RUNS = (3, 200)  # the fewest and the most of a block
# Two engines that hold the same file settle a few percent apart (where their memory lies), which
# no number of blocks shows.
_TELLABLE = 1.03
_REST = 2  # untimed runs of a visit, while the threads of the one before come to rest


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times longer one takes than another, and the interval that holds it at 99 %."""

    value: float
    low: float
    high: float

    @property
    def is_shorter(self) -> bool:
        """Whether it surely takes less time, and by enough to tell."""
        return self.high < 1 and self.value < 1 / _TELLABLE

    @property
    def is_longer(self) -> bool:
        """Whether it surely takes more time, and by enough to tell."""
        return self.low > 1 and self.value > _TELLABLE

    @property
    def seems_longer(self) -> bool:
        """Whether it takes more time as far as is known, sure or not, and by enough to tell."""
        return self.value > _TELLABLE

    @property
    def told(self) -> str:
        """`0.81x (0.79-0.83)`."""
        return f"{self.value:.2f}x ({self.low:.2f}-{self.high:.2f})"


def race(runs: Sequence[Run]) -> tuple[NDArray[np.float64], ...]:
    """The middle latency of each run in each of BLOCKS blocks, in ms; each is warmed up first."""
    counts = [block_runs(run) for run in runs]
    return take_turns([partial(timed_block, *each) for each in zip(runs, counts, strict=True)])


def take_turns(
    visits: Sequence[Callable[[int], Sequence[int]]],
) -> tuple[NDArray[np.float64], ...]:
    """The middle of the latencies (ns) that each visit gives for each of BLOCKS blocks, in ms.

    Who begins changes from block to block, so that nobody always follows the same neighbour.
    """
    medians_ms = np.empty((len(visits), BLOCKS))
    for block in range(BLOCKS):
        for offset in range(len(visits)):
            index = (block + offset) % len(visits)
            medians_ms[index, block] = np.median(visits[index](block)) / 1e6
    return tuple(medians_ms)


def block_runs(run: Run) -> int:
    """Warm a run up, and say how many of it make a block."""
    fewest, most = _RUNS
    return min(most, max(fewest, _BLOCK_NS // max(1, middle(warm_up(run)))))


def timed_block(run: Run, count: int, block: int) -> tuple[int, ...]:
    """The latencies of a block's runs in ns."""
    return measure(run, runs=count, warmup=_REST, first=block * count)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> Ratio:
    """The median over blocks of how many times longer `above` takes, paired block by block.

    The interval ends at the second smallest and the second largest ratio: of 12 blocks it misses
    the true median with 2 * (1 + 12) / 2 ** 12 = 0.6 %, whatever the distribution (the sign test;
    Conover 1999, "Practical nonparametric statistics", 3.2).
    """
    ratios = np.sort(above / below)
    return Ratio(float(np.median(ratios)), float(ratios[1]), float(ratios[-2]))
