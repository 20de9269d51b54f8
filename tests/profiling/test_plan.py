"""How many runs and blocks are planned, and when it is enough."""

from __future__ import annotations

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.profiling.plan import BLOCKS, blocks_needed, make_plan, visiting_orders
from edgecnn.profiling.statistics import MIN_BLOCKS, MIN_RUNS_P99

MS = 1_000_000


def blocks_of(spread: float, count: int, *, seed: int = 0) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return list(
        MS * np.exp(random.normal(0, spread, (count, 1)) + random.normal(0, 0.01, (count, 30)))
    )


def test_a_usual_model_gets_enough_runs_for_a_p99() -> None:
    plan = make_plan([4 * MS, 12 * MS], time_limit_s=60)
    assert all(runs * plan.blocks >= MIN_RUNS_P99 for runs in plan.runs)
    assert plan.expected_s < 60


def test_a_slow_model_gets_fewer_and_still_some_in_each_block() -> None:
    plan = make_plan([150 * MS], time_limit_s=60)
    assert plan.blocks == BLOCKS
    assert 1 <= plan.runs[0] * plan.blocks < MIN_RUNS_P99


@given(st.lists(st.integers(10_000, 20_000 * MS), min_size=1, max_size=20), st.floats(1, 600))
def test_every_file_is_visited_in_every_block_and_the_limit_is_kept_where_it_can_be(
    run_ns: list[int], time_limit_s: float
) -> None:
    plan = make_plan(run_ns, time_limit_s=time_limit_s)
    assert all(1 <= runs <= 200 for runs in plan.runs)
    assert all(warm >= 1 for warm in plan.warmup)
    assert MIN_BLOCKS <= plan.blocks <= BLOCKS
    assert plan.expected_s <= time_limit_s * 1.01 or plan.blocks == MIN_BLOCKS


def test_the_order_within_blocks_is_random_but_repeatable() -> None:
    blocks = list(islice(visiting_orders(3, seed=1), 50))
    assert all(sorted(block) == [0, 1, 2] for block in blocks), "every block visits every file"
    assert len(set(blocks)) == 6, "in every order"
    assert blocks == list(islice(visiting_orders(3, seed=1), 50))
    assert blocks != list(islice(visiting_orders(3, seed=2), 50))


def needed(samples: list[list[NDArray[np.float64]]], *, elapsed_s: float = 10) -> int:
    plan = make_plan([4 * MS], time_limit_s=60)
    return blocks_needed(samples, plan, precision=0.02, elapsed_s=elapsed_s, time_limit_s=60)


def test_medians_that_are_known_end_it() -> None:
    assert needed([blocks_of(0.005, BLOCKS)]) == BLOCKS


def test_one_uncertain_file_asks_for_more_blocks_of_all() -> None:
    assert needed([blocks_of(0.005, BLOCKS), blocks_of(0.06, BLOCKS)]) > BLOCKS


def test_the_time_limit_ends_it_too() -> None:
    samples = [blocks_of(0.3, BLOCKS)]
    assert needed(samples, elapsed_s=60) == BLOCKS
    assert needed(samples, elapsed_s=59) == BLOCKS
    assert needed(samples, elapsed_s=50) == BLOCKS + 2


def test_but_not_before_blocks_say_something() -> None:
    assert needed([blocks_of(0.3, 1)], elapsed_s=500) >= MIN_BLOCKS
