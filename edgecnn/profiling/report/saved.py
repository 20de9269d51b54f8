"""A saved report read again: samples and states as they were, everything else worked out anew.

Somebody may have sent it: every number is checked, and no word in it steers a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

from edgecnn.contract_json import from_json
from edgecnn.devices.facts import checked_facts, checked_state
from edgecnn.devices.untrusted import parse_json
from edgecnn.errors import ContractError, DataError, DeviceError
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
from edgecnn.profiling.report.words import printable
from edgecnn.profiling.state import mark_of
from edgecnn.profiling.statistics import MIN_BLOCKS
from edgecnn.runtime.worker import Boundary

Number = TypeVar("Number", int, float)

_HINT = "give the JSON that edgecnn profile -o FILE.json writes"
_MISTAKES = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError),
    *(ContractError, DeviceError),
)
_MOST_CHARS = 1 << 30
_MOST = 1e15  # of whatever is counted: ns of eleven days, bytes of a disk


def read_report(path: Path) -> Report:
    """The report in a file of `edgecnn profile -o FILE.json`; raises FileError, DataError."""
    try:
        document = parse_json(path.read_text(encoding="utf-8"), most_chars=_MOST_CHARS)
    except OSError as error:
        raise read_error(path, error) from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})", hint=_HINT) from error
    return parse_report(document, source=str(path))


def parse_report(document: object, *, source: str) -> Report:
    """The report in a document of `profile --json`; raises DataError that names its source."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{source}: not a saved profile of format {FORMAT}", hint=_HINT)
    try:
        return _report(_printable(document))
    except _MISTAKES as error:
        what = f"no {error} in it" if isinstance(error, KeyError) else repr(error)
        cause = " ".join(what.split())[:80]
        raise DataError(f"{source}: not a whole saved profile ({cause})", hint=_HINT) from error


def _report(document: Mapping[str, Any]) -> Report:
    device = dict(document["device"])
    name = str(device.pop("name"))
    device_after = document["device_after"]
    profiles = tuple(_profile(each) for each in document["profiles"])
    if not profiles:
        raise ValueError("no profile in it")
    return Report(
        device=checked_facts(name, device),
        device_name=name,
        created=datetime.fromisoformat(document["created"]),
        profiles=profiles,
        device_after=checked_facts(name, device_after) if device_after else {},
        mixed=tuple(map(str, document["mixed"])),
        blocks_missing=_count(document["blocks_missing"]),
        precision_asked=_optional(_above_nothing, document.get("precision_asked")),
    )


def _printable(said: Any) -> Any:
    """The same without characters that would steer a terminal or cannot be written."""
    if isinstance(said, str):
        return printable(said)
    if isinstance(said, list):
        return [_printable(each) for each in said]
    if isinstance(said, dict):
        return {printable(key): _printable(value) for key, value in said.items()}
    return said


def _profile(said: Mapping[str, Any]) -> Profile:
    measured = _measurement(said)
    mark = mark_of(measured, emulated=str(said["why"]) if said["state"] == "emulated" else None)
    return Profile(
        file=str(said["file"]),
        contract=from_json(json.dumps(said["contract"])),
        measurement=measured,
        state=mark.state,
        why=mark.why,
        size_bytes=_count(said["size_bytes"]),
        load_ms=_amount(said["load_ms"]),
        first_run_ms=_amount(said["first_run_ms"]),
        rss_before_load_bytes=_count(said["rss_before_load_bytes"]),
        peak_rss_bytes=_count(said["peak_rss_bytes"]),
        energy=_energy(said["energy_mj"]),
        accuracy=_evaluation(said["accuracy"]) if said["accuracy"] else None,
        parameters=_optional(_count, said["parameters"]),
        macs=_optional(_count, said["macs"]),
        origin=str(said["origin"]),
        layers=read_layers(said.get("layers")),
    )


def _measurement(said: Mapping[str, Any]) -> Measurement:
    latencies_ns = tuple(_above_zero(value) for value in said["samples_ns"])
    block_runs = tuple(_above_zero(runs) for runs in said["block_runs"])
    around = tuple(_around(block) for block in said["blocks"])
    boundary = said["boundary"]
    if boundary not in get_args(Boundary):
        raise ValueError(f"boundary {boundary!r:.40}")
    told = (len(block_runs),) if boundary == "throughput" else (0, len(block_runs))
    if sum(block_runs) != len(latencies_ns) or len(around) not in told:
        raise ValueError("its blocks do not fit its samples")
    if len(block_runs) < MIN_BLOCKS:
        raise ValueError(f"fewer than {MIN_BLOCKS} blocks")
    return Measurement(
        latencies_ns=latencies_ns,
        block_runs=block_runs,
        warmup=_count(said["warmup"]),
        batch=_above_zero(said["batch"]),
        threads=_above_zero(said["threads"]),
        boundary=boundary,
        engine=str(said["engine"]),
        facts={str(key): str(value) for key, value in said["engine_facts"].items()},
        cpu_share=_amount(said["cpu_share"]),
        model_sha256=str(said["sha256"]),
        streams=_above_zero(said["streams"]),
        session=str(said["session"]),
        around=around,
        throttle_before=_counts(said["throttle_before"]),
    )


def _around(said: Mapping[str, Any]) -> Around:
    return Around(
        started_s=_amount(said["started_s"]),
        wall_ns=_above_zero(said["wall_ns"]),
        waited_ns=_optional(_count, said["waited_ns"]),
        energy_j=_optional(_amount, said["energy_j"]),
        rested_s=_amount(said["rested_s"]),
        state=checked_state(said["state"]) if said["state"] else {},
    )


def _energy(said: Mapping[str, Any]) -> dict[str, Any]:
    if "unavailable" in said:
        return {"unavailable": str(said["unavailable"])}
    sources = [str(source) for source in said["sources"]]
    return {"sources": sources, "idle_w": _optional(_amount, said["idle_w"])}


def _evaluation(said: Mapping[str, Any]) -> Evaluation:
    n = _above_zero(said["n"])
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
    n = _above_zero(said["n"])
    return Paired(
        against=str(said["against"]),
        n=n,
        right_to_wrong=_count(said["right_to_wrong"]),
        wrong_to_right=_count(said["wrong_to_right"]),
        mcnemar_p=_amount(said["mcnemar_p"], most=1),
        agreement=_amount(said["agreement"], most=100) / 100,
        drop=_share("top1_drop", said["top1_drop"], n, least=-100),
    )


def _share(metric: str, percent: Mapping[str, Any], n: int, *, least: float = 0) -> Accuracy:
    low, value, high = (
        _amount(percent[key], least=least, most=100) / 100 for key in ("low", "value", "high")
    )
    if not low <= value <= high:
        raise ValueError(f"{metric} lies outside of its interval")
    return Accuracy(metric, value, low, high, n)


def _counts(said: Mapping[str, Any]) -> dict[str, int]:
    return {name: _count(count) for name, count in said.items()}


def _optional(read: Callable[[object], Number], value: object) -> Number | None:
    return None if value is None else read(value)


def _amount(value: object, *, least: float = 0, most: float = _MOST) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r:.40} is no number")
    if not least <= value <= most:
        raise ValueError(f"{value!r:.40} is not {least:g} to {most:g}")
    return float(value)


def _above_nothing(value: object) -> float:
    if not (found := _amount(value)):
        raise ValueError("a share of nothing")
    return found


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r:.40} is no count")
    return int(_amount(value))


def _above_zero(value: object) -> int:
    if not (found := _count(value)):
        raise ValueError("nothing was counted")
    return found
