"""A saved report read again: samples and states as they were, everything else worked out anew."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edgecnn.contract_json import from_json
from edgecnn.errors import ContractError, DataError
from edgecnn.files import read_error
from edgecnn.profiling.layers import read_layers
from edgecnn.profiling.records import (
    Accuracy,
    Around,
    Evaluation,
    Measurement,
    Paired,
    Profile,
    Report,
)
from edgecnn.profiling.report.json import FORMAT
from edgecnn.profiling.state import mark_of

_HINT = "give the JSON that edgecnn profile -o FILE.json writes"
_MISTAKES = (KeyError, TypeError, ValueError, AttributeError, IndexError, ContractError)


def read_report(path: Path) -> Report:
    """The report in a file of `edgecnn profile -o FILE.json`; raises FileError, DataError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise read_error(path, error) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})", hint=_HINT) from error
    return parse_report(document, source=str(path))


def parse_report(document: object, *, source: str) -> Report:
    """The report in a document of `profile --json`; raises DataError that names its source."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{source}: not a saved profile of format {FORMAT}", hint=_HINT)
    try:
        return _report(document)
    except _MISTAKES as error:
        cause = " ".join(repr(error).split())[:80]
        raise DataError(f"{source}: not a whole saved profile ({cause})", hint=_HINT) from error


def _report(document: Mapping[str, Any]) -> Report:
    device = dict(document["device"])
    name = str(device.pop("name"))
    profiles = tuple(_profile(each) for each in document["profiles"])
    if not profiles:
        raise ValueError("no profile in it")
    return Report(
        device=device,
        device_name=name,
        created=datetime.fromisoformat(document["created"]),
        profiles=profiles,
        device_after=dict(document["device_after"]),
        mixed=tuple(map(str, document["mixed"])),
        blocks_missing=int(document["blocks_missing"]),
        precision_asked=_above_nothing(document.get("precision_asked")),
    )


def _profile(said: Mapping[str, Any]) -> Profile:
    measured, energy = _measurement(said), said["energy_mj"]
    mark = mark_of(measured, emulated=str(said["why"]) if said["state"] == "emulated" else None)
    return Profile(
        file=str(said["file"]),
        contract=from_json(json.dumps(said["contract"])),
        measurement=measured,
        state=mark.state,
        why=mark.why,
        size_bytes=int(said["size_bytes"]),
        load_ms=float(said["load_ms"]),
        first_run_ms=float(said["first_run_ms"]),
        rss_before_load_bytes=int(said["rss_before_load_bytes"]),
        peak_rss_bytes=int(said["peak_rss_bytes"]),
        energy={key: energy[key] for key in ("unavailable", "sources", "idle_w") if key in energy},
        accuracy=_evaluation(said["accuracy"]) if said["accuracy"] else None,
        parameters=_count(said["parameters"]),
        macs=_count(said["macs"]),
        origin=str(said["origin"]),
        layers=read_layers(said.get("layers")),
    )


def _measurement(said: Mapping[str, Any]) -> Measurement:
    latencies_ns = tuple(_above_zero(value) for value in said["samples_ns"])
    block_runs = tuple(_above_zero(runs) for runs in said["block_runs"])
    around = tuple(_around(block) for block in said["blocks"])
    if sum(block_runs) != len(latencies_ns) or len(around) not in (0, len(block_runs)):
        raise ValueError("its blocks do not fit its samples")
    return Measurement(
        latencies_ns=latencies_ns,
        block_runs=block_runs,
        warmup=int(said["warmup"]),
        batch=_above_zero(said["batch"]),
        threads=_above_zero(said["threads"]),
        boundary=str(said["boundary"]),
        engine=str(said["engine"]),
        facts={str(key): str(value) for key, value in said["engine_facts"].items()},
        cpu_share=float(said["cpu_share"]),
        model_sha256=str(said["sha256"]),
        streams=_above_zero(said["streams"]),
        session=str(said["session"]),
        around=around,
        throttle_before=_counts(said["throttle_before"]),
    )


def _around(said: Mapping[str, Any]) -> Around:
    state = dict(said["state"])
    if state:
        state["throttle_counts"] = _counts(state["throttle_counts"])
        state["held_back"] = [str(name) for name in state["held_back"]]
    return Around(
        started_s=float(said["started_s"]),
        wall_ns=_above_zero(said["wall_ns"]),
        waited_ns=_count(said["waited_ns"]),
        energy_j=None if said["energy_j"] is None else float(said["energy_j"]),
        rested_s=float(said["rested_s"]),
        state=state,
    )


def _evaluation(said: Mapping[str, Any]) -> Evaluation:
    n = int(said["n"])
    return Evaluation(
        file=str(said["file"]),
        engine=str(said["engine"]),
        precision=str(said["precision"]),
        n=n,
        top1=_share("top1", said["top1"], n),
        top5=_share("top5", said["top5"], n) if said["top5"] else None,
        paired=_paired(said["paired"]) if said["paired"] else None,
        device=str(said.get("device", "local")),
    )


def _paired(said: Mapping[str, Any]) -> Paired:
    n = int(said["n"])
    return Paired(
        against=str(said["against"]),
        n=n,
        right_to_wrong=int(said["right_to_wrong"]),
        wrong_to_right=int(said["wrong_to_right"]),
        mcnemar_p=float(said["mcnemar_p"]),
        agreement=float(said["agreement"]) / 100,
        drop=_share("top1_drop", said["top1_drop"], n),
    )


def _share(metric: str, percent: Mapping[str, Any], n: int) -> Accuracy:
    value, low, high = (float(percent[key]) / 100 for key in ("value", "low", "high"))
    return Accuracy(metric, value, low, high, n)


def _counts(said: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in said.items()}


def _count(value: object) -> int | None:
    return None if value is None else int(str(value))


def _above_nothing(value: object) -> float | None:
    if value is None:
        return None
    if not 0 < (share := float(str(value))) < math.inf:
        raise ValueError(f"{value!r:.40} is not a share above zero")
    return share


def _above_zero(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r:.40} is not a count above zero")
    return value
