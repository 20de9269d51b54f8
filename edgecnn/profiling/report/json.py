"""A report as the JSON that scripts rely on: fields may be added, never renamed.

Latencies are in ms, samples in ns, sizes in bytes, accuracies in percent.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.contract_json import to_json
from edgecnn.profiling.energy import energy_mj
from edgecnn.profiling.layers import layers_document
from edgecnn.profiling.records import Accuracy, Evaluation, Measurement, Paired, Profile
from edgecnn.profiling.report.summary import Row, Summary, published_top1
from edgecnn.profiling.statistics import Interval

FORMAT = 1


def evaluation_document(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """`evaluate --json`."""
    return {"format": FORMAT, "results": [_evaluation(each) for each in evaluations]}


def profile_document(summary: Summary) -> dict[str, Any]:
    """`profile --json`; files in the order in which they were given."""
    report = summary.report
    return {
        "format": FORMAT,
        "created": report.created.isoformat(),
        "device": {"name": report.device_name, **report.device},
        "device_after": dict(report.device_after),
        "mixed": list(report.mixed),
        "blocks_missing": report.blocks_missing,
        "precision_asked": report.precision_asked,
        "profiles": [_profile(row) for row in summary.rows],
        "comparisons": [_comparison(row) for row in summary.rows if row.comparison],
        "warnings": list(summary.warnings),
    }


def _profile(row: Row) -> dict[str, Any]:
    profile, measured, latency = row.profile, row.profile.measurement, row.latency
    return {
        "file": profile.file,
        "name": row.name,
        "model": profile.contract.name,
        "sha256": measured.model_sha256,
        "engine": measured.engine,
        "engine_facts": dict(measured.facts),
        "precision": profile.precision,
        "boundary": measured.boundary,
        "threads": measured.threads,
        "batch": measured.batch,
        "streams": measured.streams,
        "session": measured.session,
        "origin": profile.origin,
        "state": profile.state,
        "why": profile.why,
        "n": len(measured.latencies_ns),
        "warmup": measured.warmup,
        "latency_ms": {
            "p50": _interval(latency.p50),
            "p90": _interval(latency.p90),
            "p99": _interval(latency.p99) if latency.p99 else None,
        },
        "p99_missing_runs": latency.missing_runs,
        "images_per_s": _interval(latency.images_per_s) if latency.images_per_s else None,
        "cpu_share": measured.cpu_share,
        "size_bytes": profile.size_bytes,
        "load_ms": profile.load_ms,
        "first_run_ms": profile.first_run_ms,
        "rss_before_load_bytes": profile.rss_before_load_bytes,
        "peak_rss_bytes": profile.peak_rss_bytes,
        "accuracy": _evaluation(profile.accuracy) if profile.accuracy else None,
        "published_top1": published_top1(profile),
        "random_weights": profile.contract.random_weights,
        "on_front": row.on_front,
        "energy_mj": energy_mj(profile),
        "parameters": profile.parameters,
        "macs": profile.macs,
        "layers": layers_document(profile.layers, row.roofs),
        "contract": _contract(profile),
        "throttle_before": dict(measured.throttle_before),
        "blocks": _blocks(measured),
        "block_runs": list(measured.block_runs),
        "samples_ns": list(measured.latencies_ns),
    }


def _contract(profile: Profile) -> Mapping[str, Any]:
    """What the file says of itself, without what is long and plays no part here."""
    brief = dataclasses.replace(profile.contract, labels=(), golden=None)
    said: Mapping[str, Any] = json.loads(to_json(brief))
    return said


def _blocks(measured: Measurement) -> list[dict[str, Any]]:
    return [dataclasses.asdict(block) for block in measured.around]


def _comparison(row: Row) -> Mapping[str, Any]:
    if row.comparison is None:
        return {}
    return {
        "file": row.comparison.file,
        "against": row.comparison.against,
        "ratio": _interval(row.comparison.ratio),
        "differs": row.comparison.differs,
        "verdict": row.comparison.verdict,
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "file": evaluation.file,
        "engine": evaluation.engine,
        "precision": evaluation.precision,
        "device": evaluation.device,
        "n": evaluation.n,
        "top1": _percent(evaluation.top1),
        "top5": _percent(evaluation.top5) if evaluation.top5 else None,
        "paired": _paired(evaluation.paired) if evaluation.paired else None,
    }


def _paired(paired: Paired) -> dict[str, Any]:
    return {
        "against": paired.against,
        "n": paired.n,
        "right_to_wrong": paired.right_to_wrong,
        "wrong_to_right": paired.wrong_to_right,
        "mcnemar_p": paired.mcnemar_p,
        "agreement": paired.agreement * 100,
        "top1_drop": _percent(paired.drop),
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    """An open end is null: JSON knows no infinity."""
    high = interval.high if math.isfinite(interval.high) else None
    return {"value": interval.value, "low": interval.low, "high": high}


def _percent(accuracy: Accuracy) -> dict[str, float | None]:
    share = Interval(accuracy.value, accuracy.low, accuracy.high)
    return _interval(share.scaled(100))
