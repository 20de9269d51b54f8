"""A report for other programs that are no browser: Markdown to paste, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from edgecnn.counted import counted
from edgecnn.profiling.energy import energy_mj
from edgecnn.profiling.layers import TimedLayer
from edgecnn.profiling.report.layer_words import TITLES, WORDS, layer_cells, layers_line
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.text import cells, device_line, head
from edgecnn.profiling.statistics import Interval

# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@")
_LONGEST = 10  # layers of a file that Markdown shows


def markdown(summary: Summary) -> str:
    """The table, the sentences and the longest layers of the report, for GitHub and the like."""
    rows = [head(summary), *(cells(row) for row in summary.rows)]
    used = [index for index in range(len(rows[0])) if any(row[index] for row in rows)]
    table = _grid([[row[index] for index in used] for row in rows], words=(0, len(rows[0]) - 1))
    notes = [*summary.sentences, *summary.warnings]
    when = f"{summary.report.created:%Y-%m-%d %H:%M}"
    device = f"{when}, {device_line(summary.report.device)}"
    layers = [part for row in summary.rows for part in _layers(row)]
    return "\n\n".join([_cell(device), table, *map(_cell, notes), *layers]) + "\n"


def _layers(row: Row) -> Iterator[str]:
    """The longest layers of a file, and how many others there are."""
    if row.profile.layers is None:
        return
    yield _cell(f"Layers of {layers_line(row)}.")
    if (found := row.layers) is None:
        return
    shown = found.dearest[:_LONGEST]
    yield _grid([TITLES, *(layer_cells(layer, row) for layer in shown)], words=range(WORDS))
    if rest := found.dearest[_LONGEST:]:
        take = counted(len(rest), "more takes", "more take")
        yield f"{take} {sum(layer.time_ms for layer in rest):.3f} ms."


def _grid(rows: Sequence[Sequence[str]], *, words: Container[int]) -> str:
    """A table of Markdown; columns of words stand to the left."""
    title, *others = [[_cell(cell) for cell in row] for row in rows]
    aligned = ["---" if index in words else "--:" for index in range(len(title))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (title, aligned, *others))


def csv_table(summary: Summary) -> str:
    """One line a file, one column a number; what was not measured is empty."""
    return _csv([_record(row) for row in summary.rows])


def layers_csv(summary: Summary) -> str:
    """One line a layer of a file, in the order in which they ran; '' where none were timed."""
    records = [
        _layer_record(number, layer, row)
        for row in summary.rows
        for number, layer in enumerate(row.layers.layers if row.layers else (), start=1)
    ]
    return _csv(records) if records else ""


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
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
        "sha256": _harmless(measured.model_sha256),
        "precision": _harmless(profile.precision),
        "engine": _harmless(measured.engine),
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


def _layer_record(number: int, layer: TimedLayer, row: Row) -> dict[str, Any]:
    place = row.roofs.place(layer)
    numbers = {
        "macs": layer.macs,
        "moved_bytes": layer.moved_bytes,
        "gmac_per_s": layer.gmac_per_s,
        "gb_per_s": layer.gb_per_s,
        "bound": place.bound if place else None,
        "roof_share": place.share if place else None,
    }
    return {
        "name": _harmless(row.name),
        "file": _harmless(row.profile.file),
        "number": number,
        "layer": _harmless(layer.title),
        "nodes": _harmless(" ".join(layer.nodes)),
        "engine_name": _harmless(layer.name),
        "kind": _harmless(layer.kind),
        "precision": _harmless(layer.precision),
        "time_ms": layer.time_ms,
        **{key: "" if value is None else value for key, value in numbers.items()},
    }


def _columns(name: str, interval: Interval | None) -> dict[str, float | str]:
    """Three columns, empty where there is nothing, or no end."""
    low, high = f"{name}_low", f"{name}_high"
    if interval is None:
        return {name: "", low: "", high: ""}
    upper = interval.high if math.isfinite(interval.high) else ""
    return {name: interval.value, low: interval.low, high: upper}


def _net_mj(energy: Mapping[str, Any]) -> float | str:
    net = energy.get("net", {})
    return float(net["value"]) if "value" in net else ""


def _harmless(text: str) -> str:
    """No cell of a stranger's may be run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
