"""Who is faster is said only where blocks that were run in turn say it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.runtime.race import BLOCKS, Ratio, race, ratio


def test_all_run_in_every_block_and_each_begins_in_turn() -> None:
    calls: list[tuple[str, int]] = []

    def run(name: str) -> None:
        time.sleep(0.002)
        calls.append((name, len(calls)))

    blocks = race([lambda _: run("a"), lambda _: run("b")])
    assert [len(block) for block in blocks] == [BLOCKS, BLOCKS]
    assert min(np.min(block) for block in blocks) >= 2
    names = "".join(name for name, _ in calls).lstrip("a").lstrip("b")  # what warms up
    visits = [names[i] for i in range(len(names)) if i == 0 or names[i] != names[i - 1]]
    assert len(visits) == BLOCKS + 1  # who ends a block begins the next


def test_a_run_gets_other_inputs_from_call_to_call() -> None:
    seen: list[int] = []

    def run(index: int) -> None:
        time.sleep(0.01)
        seen.append(index)

    race([run])
    assert len(set(seen)) > len(seen) / 3


def test_one_that_takes_twice_as_long_is_told_to() -> None:
    found = ratio(*race([lambda _: time.sleep(0.004), lambda _: time.sleep(0.002)]))
    assert found.is_longer
    assert not found.is_shorter
    assert 1.5 < found.value < 2.5


def test_what_seems_longer_need_not_be_sure() -> None:
    noisy = Ratio(1.15, 0.97, 1.31)
    assert noisy.seems_longer
    assert not noisy.is_longer
    assert not Ratio(1.02, 1.01, 1.03).seems_longer, "no number of blocks shows so little"


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(2000):
        above, below = random.lognormal(0, 0.3, (2, BLOCKS))
        found = ratio(above * 1.5, below)
        missed += not found.low <= 1.5 <= found.high
    assert missed / 2000 < 0.015  # 0.6 % is said


def test_what_slows_a_whole_block_leaves_the_ratio_alone() -> None:
    slow = np.linspace(1, 5, BLOCKS)
    assert ratio(2 * slow, slow) == Ratio(2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("found", "shorter", "longer"),
    [
        (Ratio(0.5, 0.4, 0.9), True, False),
        (Ratio(0.9, 0.8, 1.01), False, False),
        (Ratio(0.98, 0.97, 0.99), False, False),  # where memory lies makes as much
        (Ratio(1.02, 1.01, 1.03), False, False),
        (Ratio(1.2, 1.1, 1.3), False, True),
    ],
)
def test_a_difference_is_told_where_it_is_sure_and_large_enough(
    found: Ratio, shorter: bool, longer: bool
) -> None:
    assert (found.is_shorter, found.is_longer) == (shorter, longer)


@given(st.lists(st.floats(0.1, 10), min_size=BLOCKS, max_size=BLOCKS))
def test_the_value_lies_in_its_interval(values: list[float]) -> None:
    found = ratio(np.array(values), np.ones(BLOCKS))
    assert found.low <= found.value <= found.high
