"""The JSON that scripts rely on: these fields, these units, in the order of the files."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from edgecnn.profiling.report import evaluation_document, profile_document, summarize
from tests.profiling.made_up import made_up_evaluation, made_up_profile, made_up_report, paired

FLOAT = made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72)
INT8 = made_up_profile("mobilenetv2", "int8", p50_ms=2.1, runs=20)


def document(*profiles: Any) -> Any:
    made = profile_document(summarize(made_up_report(*profiles)))
    return json.loads(json.dumps(made, allow_nan=False))


def test_a_profile_has_its_promised_fields() -> None:
    said = document(FLOAT, INT8)
    assert said["format"] == 1
    assert said["device"]["name"] == "local"
    assert said["device"]["cpu"] == "Cortex-A76"
    promised = {
        "file", "sha256", "engine", "precision", "boundary", "threads", "batch", "state", "n",
        "latency_ms", "size_bytes", "load_ms", "peak_rss_bytes", "accuracy", "energy_mj",
        "samples_ns",
    }  # fmt: skip
    for profile in said["profiles"]:
        assert promised <= set(profile)
    assert [profile["file"] for profile in said["profiles"]] == [FLOAT.file, INT8.file]


def test_latencies_are_in_milliseconds_and_samples_in_nanoseconds() -> None:
    first, second = document(FLOAT, INT8)["profiles"]
    p50 = first["latency_ms"]["p50"]
    assert 4.3 < p50["low"] <= p50["value"] <= p50["high"] < 4.7
    assert first["samples_ns"] == list(FLOAT.measurement.latencies_ns)
    assert sum(first["block_runs"]) == first["n"] == 600
    assert first["latency_ms"]["p99"]["value"] >= first["latency_ms"]["p90"]["value"]
    assert second["latency_ms"]["p99"] is None
    assert second["p99_missing_runs"] == 459 - 240


def test_energy_that_was_not_measured_says_why() -> None:
    assert document(FLOAT)["profiles"][0]["energy_mj"] == {"unavailable": "no power sensor is read"}


def test_comparisons_carry_their_verdict() -> None:
    (found,) = document(FLOAT, INT8)["comparisons"]
    assert (found["file"], found["against"]) == (INT8.file, FLOAT.file)
    assert found["ratio"]["low"] <= found["ratio"]["value"] <= found["ratio"]["high"]
    assert "faster" in found["verdict"]


def test_an_evaluation_has_its_promised_fields_in_percent() -> None:
    evaluation = paired(made_up_evaluation("b.onnx", "int8", 0.72), "a.onnx")
    said = evaluation_document([evaluation])
    assert said["format"] == 1
    (result,) = said["results"]
    assert (result["file"], result["engine"], result["precision"]) == (
        "b.onnx",
        "onnxruntime",
        "int8",
    )
    assert result["n"] == 1000
    assert result["top1"] == {"value": 72.0, "low": 69.0, "high": 75.0}
    assert result["top5"] is None
    expected = {"against", "n", "right_to_wrong", "wrong_to_right", "mcnemar_p", "agreement"}
    assert expected <= set(result["paired"])
    assert result["paired"]["agreement"] == 98.0


def test_the_accuracy_of_a_profile_has_the_shape_of_an_evaluation() -> None:
    evaluated = dataclasses.replace(FLOAT, accuracy=made_up_evaluation("a.onnx", "fp32", 0.72))
    first, second = document(evaluated, INT8)["profiles"]
    assert first["accuracy"] == evaluation_document([evaluated.accuracy])["results"][0]  # type: ignore[list-item]
    assert second["accuracy"] is None
