"""Choosing by measured accuracy and latency, and why not the others."""

from __future__ import annotations

import dataclasses

import pytest

from edgecnn.errors import BudgetError, DataError
from edgecnn.profiling.choose import Choice, Limits, choice_document, choice_text, choose
from edgecnn.profiling.records import Profile
from edgecnn.profiling.report import summarize
from tests.profiling.made_up import made_up_profile, made_up_report, paired

FLOAT = made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72)
INT8 = made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.719)
INT8 = dataclasses.replace(INT8, accuracy=INT8.accuracy and paired(INT8.accuracy, FLOAT.file))
BIG = made_up_profile("resnet50", "fp32", p50_ms=38, top1=0.81)
UNKNOWN = made_up_profile("vgg16", "fp32", p50_ms=1)
ALL = (FLOAT, INT8, BIG, UNKNOWN)


def chosen(limits: Limits, *profiles: Profile, use_marked: bool = False) -> Choice:
    summary = summarize(made_up_report(*(profiles or ALL)))
    return choose(summary, limits, use_marked=use_marked)


def name(choice: Choice) -> str:
    return choice.chosen.row.name


def test_the_most_accurate_that_is_fast_enough() -> None:
    assert name(chosen(Limits())) == "resnet50 fp32"
    assert name(chosen(Limits(max_latency_ms=20))) == "mobilenetv2 fp32"
    assert name(chosen(Limits(max_latency_ms=3))) == "mobilenetv2 int8"


def test_it_says_why_not_the_others() -> None:
    text = choice_text(chosen(Limits(max_latency_ms=20)))
    first, *others = text.splitlines()
    assert first.startswith("chosen  mobilenetv2 fp32  top-1 72.0 ±3.0 %, p50 4.4")
    assert [line.split("  ")[0] for line in others] == ["not"] * 3
    assert "ms is over 20" in others[0]
    assert "fits, but its top-1 is 71.9 ±3.0 %" in others[1]
    assert "no accuracy was measured" in others[2]


def test_of_two_alike_the_faster() -> None:
    twin = dataclasses.replace(INT8, accuracy=FLOAT.accuracy)
    choice = chosen(Limits(), FLOAT, twin)
    assert name(choice) == "mobilenetv2 int8"
    assert "fits and is as accurate, but slower" in choice_text(choice)


def test_the_drop_is_that_of_the_pairs() -> None:
    # Its pair says 0.1 points, up to 0.4.
    assert name(chosen(Limits(max_latency_ms=3, max_drop=0.005))) == "mobilenetv2 int8"
    doubtful = chosen(Limits(max_latency_ms=3, max_drop=0.002))
    assert doubtful.chosen.likely == ("its drop may be 0.4 points",)
    assert "But its drop may be 0.4 points." in choice_text(doubtful)
    with pytest.raises(BudgetError, match=r"its top-1 drops by 0\.1 points"):
        chosen(Limits(max_latency_ms=3, max_drop=0.0005))


def test_a_drop_that_nobody_measured_does_not_count_as_none() -> None:
    alone = made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.719)
    with pytest.raises(BudgetError, match="FP32 was not measured beside it"):
        chosen(Limits(max_latency_ms=3, max_drop=0.01), FLOAT, alone)


def test_a_limit_within_the_interval_is_said_to_be_doubtful() -> None:
    p50 = summarize(made_up_report(FLOAT)).rows[0].latency.p50
    limit_ms = (p50.value + p50.high) / 2
    choice = chosen(Limits(max_latency_ms=limit_ms), FLOAT)
    assert choice.chosen.likely[0].startswith("its p50 may be")


def test_a_percentile_that_is_not_known_does_not_fit() -> None:
    short = made_up_profile("net", "fp32", p50_ms=1, top1=0.9, runs=8)
    choice = chosen(Limits(max_latency_ms=20, percentile="p99"), short, FLOAT)
    assert name(choice) == "mobilenetv2 fp32"
    assert "its p99 is not known: 363 more runs are needed" in choice_text(choice)


def test_marked_runs_are_not_chosen_unless_asked() -> None:
    hot = dataclasses.replace(BIG, state="throttled")
    assert name(chosen(Limits(), FLOAT, hot)) == "mobilenetv2 fp32"
    assert name(chosen(Limits(), FLOAT, hot, use_marked=True)) == "resnet50 fp32"


def test_where_nothing_fits_every_reason_is_told() -> None:
    with pytest.raises(BudgetError, match=r"no file fits\. resnet50 fp32: .*; mobilenetv2 fp32: "):
        chosen(Limits(max_latency_ms=0.5))


def test_where_only_marks_stand_in_the_way_more_time_is_no_advice() -> None:
    held_back = dataclasses.replace(FLOAT, state="throttled", why="hot")
    with pytest.raises(BudgetError, match="its run was throttled") as raised:
        chosen(Limits(max_latency_ms=20), held_back)
    assert "--use-marked" in raised.value.hint
    with pytest.raises(BudgetError) as raised:
        chosen(Limits(max_latency_ms=1), held_back)
    assert raised.value.hint == "allow more time, or a larger drop"


def test_without_accuracy_there_is_nothing_to_choose_by() -> None:
    with pytest.raises(DataError, match="no accuracy was measured"):
        chosen(Limits(max_latency_ms=5), UNKNOWN)


def test_machines_are_told_the_same() -> None:
    said = choice_document(chosen(Limits(max_latency_ms=20, max_drop=0.005)))
    assert said["chosen"] == FLOAT.file
    assert said["limits"] == {"max_latency_ms": 20, "percentile": "p50", "max_drop": 0.5}
    assert [each["file"] for each in said["others"]] == [BIG.file, INT8.file, UNKNOWN.file]
