"""Verdicts: who is compared with whom, what may be claimed, and who is on the front."""

from __future__ import annotations

import dataclasses
import re

import pytest

from edgecnn.profiling.compare import (
    baselines,
    clearly_beaten,
    compare,
    latency,
    names,
    on_front,
)
from tests.profiling.made_up import made_up_profile

FLOAT = made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72)
INT8 = made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.71)
BIG = made_up_profile("resnet50", "int8", p50_ms=12, top1=0.80)
POOR = made_up_profile("vgg16", "int8", p50_ms=41, top1=0.70)
ALL = (FLOAT, INT8, BIG, POOR)


def test_int8_is_compared_with_the_float_file_of_its_model() -> None:
    assert baselines((BIG, INT8, FLOAT)) == (None, 2, None)


def test_without_such_pairs_the_first_file_is_the_measure() -> None:
    assert baselines((BIG, INT8, POOR)) == (None, 0, 0)
    assert baselines((FLOAT,)) == (None,)


def test_a_file_that_does_not_say_its_model_has_no_pair() -> None:
    bare = dict.fromkeys(("model",))
    strangers = tuple(
        made_up_profile("x", precision, p50_ms=1, provenance=bare) for precision in ("fp32", "int8")
    )
    assert baselines(strangers) == (None, 0)


def test_faster_is_said_with_its_interval() -> None:
    found = compare(INT8, FLOAT)
    assert found.differs
    assert found.ratio.low < 4.4 / 2.1 < found.ratio.high
    assert re.fullmatch(r"2\.[01]\dx faster \(2\.[01]\d-2\.[01]\d\)", found.verdict)


def test_slower_is_said_the_same_way() -> None:
    found = compare(FLOAT, INT8)
    assert "x slower (" in found.verdict
    assert found.ratio.value == pytest.approx(1 / compare(INT8, FLOAT).ratio.value)


def test_what_cannot_be_told_is_said_to_be_untold() -> None:
    twin = made_up_profile("mobilenetv2", "fp16", p50_ms=4.4 * 1.001)
    found = compare(twin, FLOAT)
    assert not found.differs
    assert found.verdict == "no difference above 3 % can be told"


def test_two_percent_is_never_a_verdict_however_many_runs() -> None:
    measured = FLOAT.measurement
    faster = tuple(round(value / 1.02) for value in measured.latencies_ns)
    other = dataclasses.replace(
        FLOAT, measurement=dataclasses.replace(measured, latencies_ns=faster)
    )
    found = compare(other, FLOAT)
    assert found.ratio.low > 1.01
    assert not found.differs


def test_emulated_times_are_not_compared() -> None:
    found = compare(dataclasses.replace(INT8, state="emulated"), FLOAT)
    assert found.verdict == "not compared: emulated"
    assert not found.differs


def test_p99_is_told_only_from_459_runs_on() -> None:
    enough = latency(made_up_profile("a", "fp32", p50_ms=1, runs=39))
    short = latency(made_up_profile("a", "fp32", p50_ms=1, runs=38))
    assert enough.p99 is not None
    assert enough.missing_runs == 0
    assert short.p99 is None
    assert short.missing_runs == 459 - 38 * 12


def test_the_front_holds_what_nothing_beats() -> None:
    assert on_front(ALL, tuple(map(latency, ALL))) == (True, True, True, False)


def test_without_accuracy_there_is_no_front() -> None:
    bare = made_up_profile("a", "fp32", p50_ms=1)
    assert on_front((bare,), (latency(bare),)) == (False,)


def test_only_what_is_clearly_worse_is_called_worse() -> None:
    # resnet50 is faster and 10 points better than vgg16; mobilenetv2's 1 point is within the error.
    assert clearly_beaten(ALL, tuple(map(latency, ALL))) == (None, None, None, 2)


def test_profiles_are_called_by_model_and_precision() -> None:
    assert names((FLOAT, INT8)) == ("mobilenetv2 fp32", "mobilenetv2 int8")


def test_or_by_their_files_where_that_is_not_enough() -> None:
    other = dataclasses.replace(INT8, file="out/mobilenetv2.minmax.onnx")
    assert names((INT8, other)) == ("mobilenetv2.int8.onnx", "mobilenetv2.minmax.onnx")
    assert names((INT8, INT8)) == ("mobilenetv2.int8.onnx", "mobilenetv2.int8.onnx (2)")
