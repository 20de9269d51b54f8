"""A report for other programs that are no browser: Markdown to paste, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from edgecnn.profiling.energy import energy_mj
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.text import cells, device_line, head
from edgecnn.profiling.statistics import Interval

# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@")


def markdown(summary: Summary) -> str:
    """The table and the sentences of the report, for GitHub and the like."""
    rows = [head(summary), *(cells(row) for row in summary.rows)]
    used = [index for index in range(len(rows[0])) if any(row[index] for row in rows)]
    title, *others = [[_cell(row[index]) for index in used] for row in rows]
    aligned = ["---" if index in (0, len(rows[0]) - 1) else "--:" for index in used]
    lines = [f"| {' | '.join(row)} |" for row in (title, aligned, *others)]
    notes = [*summary.sentences, *summary.warnings]
    when = f"{summary.report.created:%Y-%m-%d %H:%M}"
    device = f"{when}, {device_line(summary.report.device)}"
    return "\n\n".join([_cell(device), "\n".join(lines), *map(_cell, notes)]) + "\n"


def csv_table(summary: Summary) -> str:
    """One line a file, one column a number; what was not measured is empty."""
    stream = io.StringIO()
    records = [_record(row) for row in summary.rows]
    writer = csv.DictWriter(stream, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def _cell(text: str) -> str:
    """Strangers' words as words: no markup, no end of a cell."""
    for char in "\\|<>`*_[]":
        text = text.replace(char, f"\\{char}")
    return text


def _record(row: Row) -> dict[str, Any]:
    profile, measured, latency = row.profile, row.profile.measurement, row.latency
    accuracy = profile.accuracy.top1 if profile.accuracy else None
    return {
        "name": _harmless(row.name),
        "file": _harmless(profile.file),
        "sha256": measured.model_sha256,
        "precision": _harmless(profile.precision),
        "engine": measured.engine,
        "boundary": measured.boundary,
        "threads": measured.threads,
        "streams": measured.streams,
        "batch": measured.batch,
        "state": profile.state,
        "runs": len(measured.latencies_ns),
        **_columns("p50_ms", latency.p50),
        **_columns("p90_ms", latency.p90),
        **_columns("p99_ms", latency.p99),
        **_columns("images_per_s", latency.images_per_s),
        "top1_percent": "" if accuracy is None else accuracy.value * 100,
        "top1_percent_low": "" if accuracy is None else accuracy.low * 100,
        "top1_percent_high": "" if accuracy is None else accuracy.high * 100,
        "random_weights": profile.contract.random_weights,
        "size_bytes": profile.size_bytes,
        "parameters": "" if profile.parameters is None else profile.parameters,
        "macs": "" if profile.macs is None else profile.macs,
        "load_ms": profile.load_ms,
        "peak_rss_bytes": profile.peak_rss_bytes,
        "energy_net_mj": _net_mj(energy_mj(profile)),
        "against": _harmless(row.against or ""),
        **_columns("times_faster", row.comparison.ratio if row.comparison else None),
        "verdict": row.comparison.verdict if row.comparison else "",
    }


def _columns(name: str, interval: Interval | None) -> dict[str, float | str]:
    """Three columns, empty where there is nothing."""
    low, high = f"{name}_low", f"{name}_high"
    if interval is None:
        return {name: "", low: "", high: ""}
    return {name: interval.value, low: interval.low, high: interval.high}


def _net_mj(energy: Mapping[str, Any]) -> float | str:
    net = energy.get("net", {})
    return float(net["value"]) if "value" in net else ""


def _harmless(text: str) -> str:
    """No cell of a stranger's may be run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
