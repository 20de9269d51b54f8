"""Several reports as one, where they were measured alike, or where somebody insists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgecnn.errors import UsageError
from edgecnn.profiling.records import Report

# What makes figures of two measurements different though the files are the same.
_DEVICE = (
    "model", "cpu", "machine", "cores", "memory_bytes", "virtual_machine", "emulated",
    "power_mode", "governor", "clock_max_mhz", "kernel",
)  # fmt: skip
_VERSIONS = ("onnxruntime", "numpy", "edgecnn")


def merged(reports: Sequence[Report], names: Sequence[str], *, allow_mixed: bool) -> Report:
    """One report with the profiles of all, each with the name of its report as origin.

    Raises UsageError where devices, their states, engines or what a run is differ, unless
    `allow_mixed`: then the report says how. The first report's device stands for all.
    """
    first, *_ = reports
    if len(reports) == 1:
        return first
    mixed = tuple(differences(reports, names))
    if mixed and not allow_mixed:
        raise UsageError(
            f"{names[0]} and {names[-1]} were not measured alike: {'; '.join(mixed)}",
            hint="measure them in one run, or mix them all the same with --allow-mixed",
        )
    profiles = tuple(
        dataclasses.replace(profile, origin=profile.origin or name)
        for report, name in zip(reports, names, strict=True)
        for profile in report.profiles
    )
    missing = max(report.blocks_missing for report in reports)
    asked = {report.precision_asked for report in reports}
    return dataclasses.replace(
        first,
        profiles=profiles,
        mixed=mixed,
        blocks_missing=missing,
        precision_asked=asked.pop() if len(asked) == 1 else None,
    )


def differences(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    """In what reports differ that is no file: `governor: performance in a, powersave in b`."""
    conditions = [_conditions(report) for report in reports]
    for key in dict.fromkeys(key for condition in conditions for key in condition):
        found: dict[str, list[str]] = {}
        for name, condition in zip(names, conditions, strict=True):
            found.setdefault(str(condition.get(key, "not told")), []).append(name)
        if len(found) > 1:
            told = (f"{value} in {' and '.join(where)}" for value, where in found.items())
            yield f"{key}: {', '.join(told)}"


def _conditions(report: Report) -> Mapping[str, Any]:
    device, versions = report.device, report.device.get("versions", {})
    measured = [profile.measurement for profile in report.profiles]
    ways: dict[str, set[Any]] = {
        "engine": {item.facts.get("engine", item.engine) for item in measured},
        "threads": {item.threads for item in measured},
        "streams": {item.streams for item in measured},
        "batch": {item.batch for item in measured},
        "a run is": {item.boundary for item in measured},
    }
    return {
        **{key: device.get(key) for key in _DEVICE if key in device},
        **{name: versions[name] for name in _VERSIONS if name in versions},
        **{key: ", ".join(sorted(map(str, values))) for key, values in ways.items()},
    }
