"""The timing loop: what it counts, what it leaves out, and when it takes a device for warm."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator

from edgecnn.runtime.measure import measure, warm_up

MS = 1_000_000


class FakeEngine:
    """An engine whose runs cost what a test says, on a clock that only it moves."""

    def __init__(self, costs_ns: Iterator[int]) -> None:
        self.now_ns = 0
        self.asked: list[int] = []
        self._costs_ns = costs_ns

    def run(self, index: int) -> None:
        self.asked.append(index)
        self.now_ns += next(self._costs_ns)

    def clock(self) -> int:
        return self.now_ns


def test_latencies_come_back_in_the_order_they_ran() -> None:
    engine = FakeEngine(iter([5, 3, 9]))
    assert measure(engine.run, runs=3, clock=engine.clock) == (5, 3, 9)


def test_warmup_runs_are_made_but_not_timed() -> None:
    engine = FakeEngine(iter([1000, 1000, 5, 3]))
    assert measure(engine.run, runs=2, warmup=2, clock=engine.clock) == (5, 3)


def test_each_run_gets_the_next_number_so_that_inputs_can_rotate() -> None:
    engine = FakeEngine(itertools.repeat(1))
    measure(engine.run, runs=2, warmup=1, first=40, clock=engine.clock)
    assert engine.asked == [40, 41, 42]


def test_an_outlier_is_kept() -> None:
    engine = FakeEngine(iter([1, 1, 1_000_000, 1]))
    assert max(measure(engine.run, runs=4, clock=engine.clock)) == 1_000_000


def test_the_loop_itself_costs_less_than_ten_microseconds_a_run() -> None:
    assert statistics.median(measure(lambda index: None, runs=20_000)) < 10_000


def test_warm_up_goes_on_until_runs_stop_getting_faster() -> None:
    # Clocks rise: the cost falls for 40 runs, then stays.
    falling = itertools.chain((200 * MS - 4 * MS * k for k in range(40)), itertools.repeat(40 * MS))
    engine = FakeEngine(falling)
    latencies_ns = warm_up(engine.run, cap_ns=60_000 * MS, clock=engine.clock)
    assert len(latencies_ns) >= 45
    assert latencies_ns[-1] == 40 * MS
    assert latencies_ns[0] == 200 * MS


def test_warm_up_runs_for_a_fifth_of_a_second_even_if_steady_at_once() -> None:
    engine = FakeEngine(itertools.repeat(MS))
    assert len(warm_up(engine.run, clock=engine.clock)) == 200


def test_warm_up_gives_up_on_a_device_that_never_settles() -> None:
    engine = FakeEngine(itertools.cycle(range(10 * MS, 500 * MS, 7 * MS)))
    latencies_ns = warm_up(engine.run, cap_ns=3_000 * MS, clock=engine.clock)
    assert sum(latencies_ns[:-1]) < 3_000 * MS <= sum(latencies_ns)


def test_warm_up_makes_one_run_of_a_very_slow_model() -> None:
    engine = FakeEngine(itertools.repeat(20_000 * MS))
    assert len(warm_up(engine.run, clock=engine.clock)) == 1


def test_the_real_clock_counts_real_time() -> None:
    def sleep(index: int) -> None:
        time.sleep(0.002)

    run: Callable[[int], None] = sleep
    assert all(2 * MS <= each < 200 * MS for each in measure(run, runs=3))
