"""The timing loop. It knows no model, no engine and no statistics: it calls and looks at a clock.

`run` is called with a number that counts up, so that it can take another input each time: an
engine that sees one input again and again shows what its caches can do, not what a camera gets.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

Run = Callable[[int], None]
Clock = Callable[[], int]

LOOK_RUNS = 5  # odd, so that a look has a middle run

_FLOOR_NS = 200_000_000  # governors take up to that long to raise the clock
_CAP_NS = 3_000_000_000
_TOLERANCE = 0.03


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
    """Run until two looks of five runs agree within 3 %; the latencies of all runs in ns.

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


def _is_steady(latencies_ns: list[int]) -> bool:
    if len(latencies_ns) < 2 * LOOK_RUNS or len(latencies_ns) % LOOK_RUNS:
        return False
    before, now = middle(latencies_ns[:-LOOK_RUNS]), middle(latencies_ns)
    return abs(now - before) <= _TOLERANCE * before
