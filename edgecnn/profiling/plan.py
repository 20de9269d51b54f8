"""How often to run what: decided before measuring, and again after each block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.profiling.statistics import MIN_BLOCKS, quantile_interval

BLOCKS = 12  # enough for an interval over blocks; 39 runs in each also make a p99

_VISIT_NS = 500_000_000
_MOST_RUNS = 200
_WARM_NS = 20_000_000
_MOST_WARM_RUNS = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What one block does for each file, and how many blocks are expected to do."""

    runs: tuple[int, ...]
    warmup: tuple[int, ...]
    blocks: int
    block_s: float

    @property
    def expected_s(self) -> float:
        """How long the measuring will take, if the first blocks are precise enough."""
        return self.blocks * self.block_s


def make_plan(run_ns: Sequence[int], *, time_limit_s: float) -> Plan:
    """Half a second a visit, or less where twelve blocks of all files would take too long.

    `run_ns` is what one run of each file takes.
    """
    share_ns = time_limit_s * 1e9 / (BLOCKS * len(run_ns))
    visit_ns = min(_VISIT_NS, share_ns)
    warmup = tuple(max(1, min(_MOST_WARM_RUNS, math.ceil(_WARM_NS / each))) for each in run_ns)
    runs = tuple(
        max(1, min(_MOST_RUNS, int(visit_ns / each) - warm))
        for each, warm in zip(run_ns, warmup, strict=True)
    )
    pairs = zip(runs, warmup, run_ns, strict=True)
    block_s = sum((timed + warm) * each for timed, warm, each in pairs) / 1e9
    fitting = max(MIN_BLOCKS, int(time_limit_s / block_s)) if block_s else BLOCKS
    return Plan(runs, warmup, min(BLOCKS, fitting), block_s)


def visiting_orders(files: int, *, seed: int) -> Iterator[tuple[int, ...]]:
    """For block after block the files in random order, each once; the same for the same seed."""
    random = np.random.default_rng(seed)
    while True:
        yield tuple(int(index) for index in random.permutation(files))


def blocks_needed(
    samples: Sequence[Sequence[NDArray[Any]]],
    plan: Plan,
    *,
    precision: float,
    elapsed_s: float,
    time_limit_s: float,
) -> int:
    """How many blocks there should be in all, as far as one can tell after these.

    `samples` holds the blocks of each file. Medians known to `precision` end it, and so does the
    time limit, but not before MIN_BLOCKS.
    """
    done = len(samples[0])
    if done < MIN_BLOCKS:
        return plan.blocks
    wanted = plan.blocks
    if done >= plan.blocks:
        worst = max(_relative_error(blocks) for blocks in samples)
        # An error falls with the root of the number of blocks.
        wanted = done if worst <= precision else math.ceil(done * (worst / precision) ** 2)
    affordable = done + int(max(0.0, time_limit_s - elapsed_s) / (elapsed_s / done))
    return min(max(wanted, done), affordable)


def _relative_error(blocks: Sequence[NDArray[Any]]) -> float:
    median = quantile_interval(blocks, 0.5)
    return median.half_width / median.value
