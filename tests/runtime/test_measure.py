"""The timing loop: what it counts, what it leaves out, and when it takes a device for warm."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgecnn.runtime.measure import change_point, measure, measure_streams, warm_up

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


def test_warm_up_goes_on_where_a_late_change_comes() -> None:
    # Steady for longer than the floor, then a governor steps in.
    steps = itertools.chain(itertools.repeat(40 * MS, 6), itertools.repeat(20 * MS))
    engine = FakeEngine(steps)
    latencies_ns = warm_up(engine.run, clock=engine.clock)
    assert len(latencies_ns) >= 15
    assert latencies_ns[-5:] == (20 * MS,) * 5


def test_a_change_point_is_found_where_it_is() -> None:
    random = np.random.default_rng(1)
    values = [*random.normal(10, 1, 60), *random.normal(8, 1, 40)]
    split, chance = change_point(values)
    assert abs(split - 60) <= 3
    assert chance < 1e-6


def test_no_change_point_is_claimed_in_noise_more_often_than_chance() -> None:
    random = np.random.default_rng(2)
    chances = [change_point(list(random.normal(10, 1, 50)))[1] for _ in range(300)]
    assert np.mean(np.array(chances) <= 0.05) <= 0.06


@pytest.mark.parametrize("values", [[1.0, 1.0], [3, 3, 3, 3]])
def test_what_stays_the_same_has_no_change_point(values: list[float]) -> None:
    assert change_point(values)[1] == 1.0


def test_streams_share_the_runs_and_keep_their_order() -> None:
    seen: list[int] = []

    def run(index: int) -> None:
        seen.append(index)
        time.sleep(0.002 * (index % 2 + 1))

    with ThreadPoolExecutor(3) as executor:
        latencies_ns = measure_streams([run] * 3, runs=30, first=7, executor=executor)
    assert sorted(seen) == list(range(7, 37))
    assert len(latencies_ns) == 30
    odd, even = latencies_ns[0::2], latencies_ns[1::2]  # it starts at 7
    assert statistics.median(odd) > statistics.median(even)


def test_the_real_clock_counts_real_time() -> None:
    def sleep(index: int) -> None:
        time.sleep(0.002)

    run: Callable[[int], None] = sleep
    assert all(2 * MS <= each < 200 * MS for each in measure(run, runs=3))
