"""Profiles with invented numbers, for what is made of profiles."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import numpy as np

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.profiling.layers import TimedLayer, TimedLayers
from edgecnn.profiling.records import (
    Accuracy,
    Evaluation,
    Measurement,
    Paired,
    Profile,
    Report,
    State,
)

DEVICE: dict[str, Any] = {
    "machine": "aarch64", "model": "Raspberry Pi 5 Model B Rev 1.0", "cpu": "Cortex-A76",
    "cores": 4, "isa": ["asimd", "asimddp"], "memory_bytes": 8_000_000_000, "kernel": "6.6",
    "virtual_machine": False, "emulated": None, "governor": "performance", "clock_mhz": 2400.0,
    "clock_max_mhz": 2400.0, "temperature_c": 48.3,
    "load_1min": "unavailable: no /proc/loadavg", "versions": {"python": "3.11.7"},
}  # fmt: skip


LAYERS = TimedLayers(
    (
        TimedLayer("conv_nchwc", ("/conv", "/relu"), "Conv", "fp32", 3.0, 90_000_000, 3_000_000),
        TimedLayer("pool", ("<pool>",), "MaxPool", "fp32", 0.5, 0, 1_000_000),
        TimedLayer("=odd", (), "Reorder", "", 0.5),
    ),
    run_ms=4.1,
    profiled_ms=4.2,
    runs=100,
)


def with_layers(profile: Profile, found: TimedLayers = LAYERS) -> Profile:
    """A convolution, a pool, and something that nobody knows; 4 ms together."""
    return dataclasses.replace(profile, layers=found)


def made_up_profile(
    model: str,
    precision: str,
    *,
    p50_ms: float,
    top1: float | None = None,
    runs: int = 50,
    state: State = "stable",
    provenance: Mapping[str, Any] | None = None,
) -> Profile:
    """Twelve blocks around a median; `top1` as a share of 1,000 images."""
    said = {"model": model, "precision": precision, **(provenance or {})}
    file = f"out/{model}.{precision}.onnx"
    random = np.random.default_rng(zlib.crc32(file.encode(errors="replace")))
    latencies_ns = p50_ms * 1e6 * np.exp(np.abs(random.normal(0, 0.02, (12, runs))))
    accuracy = None if top1 is None else made_up_evaluation(file, precision, top1)
    return Profile(
        file=file,
        contract=Contract(
            (TensorSpec("image", "float32", (1, 3, 8, 8)),),
            (TensorSpec("logits", "float32", (1, 10)),),
            Preprocess(size=(8, 8)),
            provenance={key: value for key, value in said.items() if value is not None},
        ),
        measurement=Measurement(
            latencies_ns=tuple(int(value) for value in latencies_ns.ravel()),
            block_runs=(runs,) * 12,
            warmup=20,
            batch=1,
            threads=1,
            boundary="engine",
            engine="onnxruntime",
            facts={"engine": "onnxruntime 1.31.1"},
            cpu_share=0.99,
            model_sha256="ab" * 32,
        ),
        state=state,
        size_bytes=14_000_000 if precision == "fp32" else 3_800_000,
        load_ms=40.0,
        first_run_ms=9.0,
        rss_before_load_bytes=44_000_000,
        peak_rss_bytes=99_000_000,
        energy={"unavailable": "no power sensor is read"},
        accuracy=accuracy,
    )


def made_up_evaluation(file: str, precision: str, top1: float) -> Evaluation:
    """Plus and minus three points."""
    share = Accuracy("top1", top1, top1 - 0.03, top1 + 0.03, 1000)
    return Evaluation(file, "onnxruntime", precision, 1000, share, None)


def paired(evaluation: Evaluation, against: str) -> Evaluation:
    """The same with a comparison in it."""
    drop = Accuracy("top1_drop", 0.001, -0.002, 0.004, 1000)
    return dataclasses.replace(evaluation, paired=Paired(against, 1000, 7, 6, 1.0, 0.98, drop))


def made_up_report(*profiles: Profile) -> Report:
    """A report of a Raspberry Pi at a fixed time."""
    when = datetime(2026, 11, 21, 14, 5, tzinfo=timezone.utc)
    return Report(DEVICE, "local", when, profiles)
