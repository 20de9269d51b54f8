"""Verdicts: who is compared with whom, what may be claimed, and who is on the front."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from edgecnn.profiling.compare import (
    baselines,
    clearly_beaten,
    compare,
    latency,
    names,
    on_front,
)
from edgecnn.profiling.records import Around, Profile, State
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


@pytest.mark.parametrize("state", ["drifting", "throttled", "emulated"])
def test_marked_runs_give_no_verdict_unless_asked(state: State) -> None:
    marked = dataclasses.replace(INT8, state=state)
    for pair in ((marked, FLOAT), (FLOAT, marked)):
        found = compare(*pair)
        assert found.verdict == f"not compared: {state}"
        assert not found.differs
    assert "faster" in compare(marked, FLOAT, use_marked=True).verdict


def test_runs_that_were_not_measured_together_are_not_paired() -> None:
    level = np.exp(np.random.default_rng(5).normal(0, 0.1, 12))
    blocks = [factor * block for factor, block in zip(level, FLOAT.measurement.blocks, strict=True)]
    slow = dataclasses.replace(
        FLOAT.measurement, latencies_ns=tuple(int(value) for value in np.concatenate(blocks))
    )
    together = dataclasses.replace(FLOAT, measurement=slow)
    half = dataclasses.replace(slow, latencies_ns=tuple(value // 2 for value in slow.latencies_ns))
    twin = dataclasses.replace(INT8, measurement=half)
    other = dataclasses.replace(half, session="another day")
    assert compare(twin, together).ratio.half_width < 0.01, "blocks swing alike"
    apart = compare(dataclasses.replace(INT8, measurement=other), together).ratio
    assert apart.half_width > 0.1
    assert apart.low < 2 < apart.high


def test_other_boundaries_are_not_compared() -> None:
    frame = dataclasses.replace(FLOAT.measurement, boundary="frame")
    found = compare(INT8, dataclasses.replace(FLOAT, measurement=frame))
    assert found.verdict == "not compared: engine and frame"


def throughput_of(seconds_a_block: float, *, batch: int = 1) -> Profile:
    around = tuple(Around(float(i), int(seconds_a_block * 1e9)) for i in range(12))
    measured = dataclasses.replace(
        FLOAT.measurement, boundary="throughput", batch=batch, streams=2, around=around
    )
    return dataclasses.replace(FLOAT, measurement=measured)


def test_throughput_is_images_a_second_of_all_streams() -> None:
    found = latency(throughput_of(0.1))
    assert found.images_per_s is not None
    assert found.images_per_s.value == pytest.approx(500)  # 50 runs in 0.1 s
    assert found.cost.value == pytest.approx(2.0)
    assert latency(FLOAT).images_per_s is None


def test_throughput_is_compared_by_the_image_whatever_the_batch() -> None:
    found = compare(throughput_of(0.1, batch=4), throughput_of(0.2))
    assert found.ratio.value == pytest.approx(8)
    assert found.differs


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


def test_a_marked_run_is_on_no_front_and_beats_nobody_unless_asked() -> None:
    marked = (*ALL[:2], dataclasses.replace(ALL[2], state="throttled"), ALL[3])
    latencies = tuple(map(latency, marked))
    assert on_front(marked, latencies) == (True, True, False, False)
    assert on_front(marked, latencies, use_marked=True) == (True, True, True, False)
    assert clearly_beaten(marked, latencies) == (None, None, None, None)
    assert clearly_beaten(marked, latencies, use_marked=True) == (None, None, None, 2)


def test_profiles_are_called_by_model_and_precision() -> None:
    assert names((FLOAT, INT8)) == ("mobilenetv2 fp32", "mobilenetv2 int8")


def test_or_by_their_files_where_that_is_not_enough() -> None:
    other = dataclasses.replace(INT8, file="out/mobilenetv2.minmax.onnx")
    assert names((INT8, other)) == ("mobilenetv2.int8.onnx", "mobilenetv2.minmax.onnx")
    assert names((INT8, INT8)) == ("mobilenetv2.int8.onnx", "mobilenetv2.int8.onnx (2)")
