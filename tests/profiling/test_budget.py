"""A budget is held, missed, or honestly undecided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.errors import UsageError
from edgecnn.profiling.budget import Limit, judge_agreement, judge_drop
from edgecnn.profiling.statistics import paired_drop_interval, wilson_interval


def test_few_flips_on_many_images_hold_a_drop() -> None:
    verdict = judge_drop(12, 10, 6000, most=0.005)
    assert verdict.answer == "held"
    assert verdict.interval == paired_drop_interval(12, 10, 6000)
    assert verdict.needed is None
    assert verdict.excess_db() == 0


def test_many_flips_one_way_miss_it() -> None:
    verdict = judge_drop(142, 92, 2211, most=0.005)
    assert verdict.answer == "missed"
    assert verdict.interval.value == pytest.approx(50 / 2211)
    assert not verdict.holds_at_best


def test_what_so_few_images_cannot_tell_is_not_told() -> None:
    verdict = judge_drop(3, 2, 200, most=0.005)
    assert verdict.answer == "cannot tell"
    assert verdict.needed is None, "the figure lies on the limit: no number of images decides"
    verdict = judge_drop(2, 2, 200, most=0.005)
    assert verdict.answer == "cannot tell"
    assert verdict.needed is not None
    # z^2 (share of flips) / (distance to the limit)^2 = 1.96^2 * 0.02 / 0.005^2 = 3,073
    assert verdict.needed == pytest.approx(3073, rel=0.05)


def test_an_agreement_is_judged_by_its_interval_too() -> None:
    assert judge_agreement(990, 1000, least=0.97).answer == "held"
    assert judge_agreement(940, 1000, least=0.97).answer == "missed"
    verdict = judge_agreement(60, 60, least=0.97)
    assert verdict.answer == "cannot tell"
    # n / (n + z^2) >= 0.97
    assert verdict.needed == pytest.approx(124.2, abs=2)


def test_a_hundred_percent_is_never_proven() -> None:
    verdict = judge_agreement(500, 500, least=1.0)
    assert verdict.answer == "cannot tell"
    assert verdict.holds_at_best
    assert verdict.needed is None


def test_flips_halve_when_the_error_does() -> None:
    assert judge_agreement(94, 100, least=0.97).excess_db() == pytest.approx(6.02, abs=0.01)
    assert judge_drop(10, 0, 100, most=0.0).excess_db() == pytest.approx(12.04, abs=0.01)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_budget_is_a_share(value: float) -> None:
    with pytest.raises(UsageError, match="no share"):
        Limit("drop", value)


COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(120, 3000))
LIMITS = st.floats(0.0, 0.2)


@given(COUNTS, LIMITS)
def test_held_and_missed_mean_that_the_interval_lies_on_one_side(
    counts: tuple[int, int, int], most: float
) -> None:
    lost, won, n = counts
    verdict = judge_drop(lost, won, n, most=most)
    interval = paired_drop_interval(lost, won, n)
    assert (verdict.answer == "held") == (interval.high <= most)
    assert (verdict.answer == "missed") == (interval.low > most)
    if verdict.answer == "held":
        assert verdict.holds_at_best


@given(COUNTS, LIMITS)
def test_as_many_images_as_it_asks_for_do_decide(counts: tuple[int, int, int], most: float) -> None:
    lost, won, n = counts
    needed = judge_drop(lost, won, n, most=most).needed
    if needed is None:
        return
    more_lost, more_won = (round(count * needed / n) for count in (lost, won))
    assert needed > n
    assert judge_drop(more_lost, more_won, needed, most=most).answer != "cannot tell"


@given(st.integers(1, 2000), st.floats(0, 1), st.floats(0, 1))
def test_more_that_agree_never_turn_held_into_missed(n: int, share: float, least: float) -> None:
    order = ["missed", "cannot tell", "held"]
    fewer = int(share * (n - 1))
    found = [judge_agreement(count, n, least=least).answer for count in (fewer, fewer + 1)]
    assert order.index(found[0]) <= order.index(found[1])
    wide = wilson_interval(fewer, n, confidence=0.99)
    assert judge_agreement(fewer, n, least=least, confidence=0.99).interval == wide
