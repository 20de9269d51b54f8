"""The timing loop. It knows no model, no engine and no statistics: it calls and looks at a clock.

`run` is called with a number that counts up, so that it can take another input each time: an
engine that sees one input again and again shows what its caches can do, not what a camera gets.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

Run = Callable[[int], None]
Clock = Callable[[], int]

LOOK_RUNS = 5  # odd, so that a look has a middle run

_FLOOR_NS = 200_000_000  # governors take up to that long to raise the clock
_CAP_NS = 3_000_000_000
_TOLERANCE = 0.03
_RECENT_RUNS = 200  # more tell nothing new about whether runs still change
_CHANCE = 0.2  # a change that chance makes more often than this is none


def measure(
    run: Run, *, runs: int, warmup: int = 0, first: int = 0, clock: Clock = time.perf_counter_ns
) -> tuple[int, ...]:
    """The latencies of `runs` calls in ns, in the order they ran, after `warmup` untimed ones.

    `first` is the number that the first call gets. All samples are kept: what an outlier means
    is for the reader to say.
    """
    for index in range(first, first + warmup):
        run(index)
    latencies_ns = []
    for index in range(first + warmup, first + warmup + runs):
        start = clock()
        run(index)
        latencies_ns.append(clock() - start)
    return tuple(latencies_ns)


def warm_up(
    run: Run,
    *,
    floor_ns: int = _FLOOR_NS,
    cap_ns: int = _CAP_NS,
    clock: Clock = time.perf_counter_ns,
) -> tuple[int, ...]:
    """Run until the later half of the runs shows no change point; the latencies of all runs in ns.

    Not before `floor_ns`; `cap_ns` ends it on a device that never settles or needs seconds for
    one run. At least one run is made.
    """
    started = clock()
    latencies_ns: list[int] = []
    for index in itertools.count():
        latencies_ns += measure(run, runs=1, first=index, clock=clock)
        elapsed_ns = clock() - started
        if elapsed_ns >= cap_ns or (elapsed_ns >= floor_ns and _is_steady(latencies_ns)):
            break
    return tuple(latencies_ns)


def middle(latencies_ns: Sequence[int]) -> int:
    """The middle one of the last look, in ns: what a run takes now, for planning only."""
    last = sorted(latencies_ns[-LOOK_RUNS:])
    return last[len(last) // 2]


def measure_streams(
    runs_of: Sequence[Run],
    *,
    runs: int,
    first: int = 0,
    executor: Executor,
    clock: Clock = time.perf_counter_ns,
) -> tuple[int, ...]:
    """The latencies of `runs` calls in ns while one thread for each of `runs_of` calls its own.

    They share the calls: who is done takes the next number. `executor` has a thread for each.
    """
    numbers = iter(range(first, first + runs))  # one `next` is never given to two threads

    def stream(run: Run) -> list[tuple[int, int]]:
        timed = []
        for index in numbers:
            start = clock()
            run(index)
            timed.append((index, clock() - start))
        return timed

    done = [pair for pairs in executor.map(stream, runs_of) for pair in pairs]
    return tuple(latency_ns for _, latency_ns in sorted(done))


def _is_steady(latencies_ns: list[int]) -> bool:
    """Whether no change above 3 % is seen in the later half of the runs so far."""
    if len(latencies_ns) < 2 * LOOK_RUNS or len(latencies_ns) % LOOK_RUNS:
        return False
    count = min(_RECENT_RUNS, max(2 * LOOK_RUNS, len(latencies_ns) // 2))
    recent = latencies_ns[-count:]
    split, chance = change_point(recent)
    before, after = statistics.median(recent[:split]), statistics.median(recent[split:])
    return chance > _CHANCE or abs(after - before) <= _TOLERANCE * before


def change_point(values: Sequence[float]) -> tuple[int, float]:
    """Where `values` change their level most clearly, and how often chance alone does as much.

    The index is the first of the new level. Pettitt (1979), "A non-parametric approach to the
    change-point problem"; at least two values.
    """
    ranks = _ranks(values)
    n, total = len(ranks), 0.0
    largest, split = -1.0, 1
    for index, rank in enumerate(ranks[:-1], start=1):
        total += rank
        statistic = abs(2 * total - index * (n + 1))
        if statistic > largest:
            largest, split = statistic, index
    return split, min(1.0, 2 * math.exp(-6 * largest**2 / (n**3 + n**2)))


def _ranks(values: Sequence[float]) -> list[float]:
    """The place of each value in order, from 1; equal ones share the middle of their places."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values), start=1):
        places.setdefault(value, []).append(place)
    return [(places[value][0] + places[value][-1]) / 2 for value in values]
