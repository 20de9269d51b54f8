"""The layers over the time of one run, as a Chrome trace: Perfetto and chrome://tracing open it.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
Its times are us with decimals, of which Perfetto makes whole ns; a slice that then begins one ns
before another one's end is dropped. So times are counted in whole ns, with one between layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from edgecnn.errors import UsageError
from edgecnn.profiling.layers import TimedLayer, TimedLayers
from edgecnn.profiling.report.layer_words import roof_words
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.words import printable

_NS = 1e6  # ns in a ms
_US = 1e-3  # us in a ns
_NOTE = (
    "Each layer takes what it takes on average in a run under the engine's profiler. Layers stand "
    "one behind the other in the order in which they ran, what passes between them at the end."
)


def chrome_trace(summary: Summary) -> str:
    """A process for each file, its layers one behind the other; raises UsageError without any."""
    rows = [row for row in summary.rows if row.layers]
    if not rows:
        raise UsageError(
            "no layers were timed, so there is no timeline of them",
            hint="profile the files again, without --no-layers",
        )
    events = [event for pid, row in enumerate(rows, start=1) for event in _events(row, pid)]
    device = str(summary.report.device.get("cpu", ""))
    about = {"made by": "edgecnn", "device": printable(device), "note": _NOTE}
    document = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}
    return json.dumps(document, allow_nan=False) + "\n"


def _events(row: Row, pid: int) -> Iterator[dict[str, Any]]:
    found = row.layers or TimedLayers()
    place = {"pid": pid, "tid": 1}
    for kind, name in (("process_name", row.name), ("thread_name", "one run")):
        yield {"ph": "M", "name": kind, **place, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", **place, "args": {"sort_index": pid}}
    times_ns = [round(layer.time_ms * _NS) for layer in found.layers]
    starts_ns = list(accumulate(times_ns, initial=0))
    whole_ns = max(round(found.profiled_ms * _NS), starts_ns[-1])
    args = {"without the profiler, ms": found.run_ms, "runs": found.runs}
    yield _slice(row.name, "run", 0, whole_ns, args) | place
    for layer, start_ns, time_ns in zip(found.layers, starts_ns[:-1], times_ns, strict=True):
        category = layer.precision or "layer"
        title, shown_ns = printable(layer.title), max(0, time_ns - 1)
        yield _slice(title, category, start_ns, shown_ns, _args(layer, row)) | place


def _slice(
    name: str, category: str, start_ns: int, time_ns: int, args: dict[str, Any]
) -> dict[str, Any]:
    """A complete event; times in us, nested by time."""
    span = {"ts": round(start_ns * _US, 3), "dur": round(time_ns * _US, 3)}
    return {"ph": "X", "name": name, "cat": category, **span, "args": args}


def _args(layer: TimedLayer, row: Row) -> dict[str, Any]:
    said = {
        "engine's name": printable(layer.name),
        "runs as": f"{layer.kind} {layer.precision}".strip(),
        "nodes": ", ".join(map(printable, layer.nodes)),
        "MACs": layer.macs,
        "bytes": layer.moved_bytes,
        "GMAC/s": layer.gmac_per_s,
        "GB/s": layer.gb_per_s,
        "of the roof": roof_words(layer, row.roofs),
    }
    return {name: value for name, value in said.items() if value not in (None, "")}
