"""Slower than before: said only where the whole interval says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgecnn.errors import BudgetError, UsageError
from edgecnn.profiling.records import Profile, Report
from edgecnn.profiling.regression import Regression, check_regressions, regressions
from tests.profiling.made_up import made_up_profile, made_up_report

NET = made_up_profile("net", "fp32", p50_ms=4)


def later(factor: float, *, spread: float = 0.0) -> Profile:
    """The same file on another day, slower by a factor, with blocks that differ by `spread`."""
    level = factor * np.exp(np.random.default_rng(3).normal(0, spread, 12))
    blocks = [each * block for each, block in zip(level, NET.measurement.blocks, strict=True)]
    measured = dataclasses.replace(
        NET.measurement,
        latencies_ns=tuple(int(value) for value in np.concatenate(blocks)),
        session="another day",
    )
    return dataclasses.replace(NET, measurement=measured)


def against(profile: Profile, *, most: float | None = 0.05) -> Regression:
    (found,) = regressions(made_up_report(profile), made_up_report(NET), most=most)
    return found


@pytest.mark.parametrize(
    ("factor", "answer"), [(1.2, "slower"), (1.02, "held"), (0.5, "held"), (1.05, "cannot tell")]
)
def test_the_interval_decides(factor: float, answer: str) -> None:
    found = against(later(factor))
    assert found.answer == answer
    assert found.slowdown is not None
    assert found.slowdown.low < factor < found.slowdown.high


def test_noise_is_no_regression() -> None:
    found = against(later(1.1, spread=0.2))
    assert found.answer == "cannot tell"
    assert "measure longer" in found.told
    check_regressions([found], where="old.json")


def test_a_slower_file_fails_the_check_with_its_figures() -> None:
    found = against(later(1.2))
    assert found.told.startswith("net fp32: takes 20.0 % longer (+")
    assert "more than the 5.0% allowed" in found.told
    with pytest.raises(BudgetError, match=r"slower than in old\.json: net fp32"):
        check_regressions([found], where="old.json")


def test_without_a_limit_it_only_tells() -> None:
    found = against(later(1.2), most=None)
    assert found.answer is None
    assert "longer" in found.told
    check_regressions([found], where="old.json")


def test_a_new_file_is_not_compared() -> None:
    other = made_up_profile("other", "fp32", p50_ms=4)
    found = regressions(made_up_report(later(1.0), other), made_up_report(NET), most=0.05)
    assert [each.answer for each in found] == ["held", "no older file"]
    check_regressions(found, where="old.json")


def test_a_baseline_of_other_files_lets_nothing_pass() -> None:
    new = against(made_up_profile("other", "fp32", p50_ms=4))
    with pytest.raises(UsageError, match=r"old\.json holds none of these files"):
        check_regressions([new], where="old.json")


def test_marked_runs_tell_nothing() -> None:
    found = against(dataclasses.replace(later(1.5), state="throttled"))
    assert found.answer == "cannot tell"
    assert "not compared: throttled" in found.told


def test_another_device_is_refused() -> None:
    def elsewhere(report: Report) -> Report:
        return dataclasses.replace(report, device={**report.device, "governor": "powersave"})

    reports = made_up_report(later(1.0)), elsewhere(made_up_report(NET))
    with pytest.raises(UsageError, match="governor: performance in this run, powersave in the"):
        regressions(*reports, most=0.05)
    (found,) = regressions(*reports, most=0.05, allow_mixed=True)
    assert found.answer == "held"


def test_machines_are_told_the_same() -> None:
    said = against(later(1.2)).document()
    assert said["answer"] == "slower"
    assert said["slowdown"]["low"] > 1.05
