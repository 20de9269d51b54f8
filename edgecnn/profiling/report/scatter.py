"""Accuracy against latency: the plot that a report opens with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgecnn.profiling.records import Accuracy
from edgecnn.profiling.report.layout import Dot, label_offset, log_ticks, place_labels
from edgecnn.profiling.report.style import (
    INK,
    PAGE,
    SOFT,
    Spec,
    altair,
    color_by_precision,
    finished,
)
from edgecnn.profiling.report.summary import Row, Summary

_HEIGHT_PX = 380
_AXES_PX = (62, 78)  # what axes and legend take off the width and the height
_LARGEST_AREA = 1100.0  # of the largest file's bubble, px^2
_SMALLEST_AREA = 90.0
_MARGIN = 0.12  # of the range, kept free around the points


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot's ranges (ms, percent) and its inner size in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float
    height: float

    def dot(self, value: Spec) -> Dot:
        """Where a point lies, and how large it is."""
        left, right = map(math.log, self.x)
        across = (math.log(value["p50"]) - left) / (right - left)
        up = (value["top1"] - self.y[0]) / (self.y[1] - self.y[0])
        radius = math.sqrt(value["area"] / math.pi)
        return Dot(across * self.width, (1 - up) * self.height, radius)


def accuracy_plot(summary: Summary, *, width_px: int) -> Spec:
    """Top-1 against p50 with 95 % intervals, for a page that leaves it about `width_px`.

    FP32 and INT8 of a network are joined, the front is drawn, the bubbles' area is the file size.
    """
    alt = altair()
    rows = [row for row in summary.rows if row.profile.accuracy]
    values = _values(rows)
    frame = _frame(values, width_px)
    x = alt.X("p50:Q", title="latency, ms (p50, log scale)").scale(
        type="log", domain=list(frame.x), nice=False
    )
    y = alt.Y("top1:Q", title="top-1, %").scale(domain=list(frame.y), nice=False, zero=False)
    base = alt.Chart(alt.Data(values=values)).encode(
        x=x.axis(values=log_ticks(*frame.x), format="~g"), y=y.axis(tickCount=6)
    )
    layers = (
        *_lines(base),
        *_marks(alt, base, rows),
        *_labels(base, values, frame),
    )
    return finished(alt.layer(*layers).properties(width="container", height=_HEIGHT_PX))


def _values(rows: Sequence[Row]) -> list[Spec]:
    largest = max(row.profile.size_bytes for row in rows)
    return [_value(row, row.profile.accuracy.top1, largest) for row in rows if row.profile.accuracy]


def _value(row: Row, top1: Accuracy, largest_bytes: int) -> Spec:
    p50, share = row.latency.p50, row.profile.size_bytes / largest_bytes
    return {
        "name": row.name,
        "model": row.model,
        "precision": row.profile.precision,
        "p50": p50.value,
        "low": p50.low,
        "high": p50.high,
        "top1": top1.value * 100,
        "top1_low": top1.low * 100,
        "top1_high": top1.high * 100,
        "megabytes": row.profile.size_bytes / 1e6,
        "area": max(_SMALLEST_AREA, share * _LARGEST_AREA),
        "front": row.on_front,
    }


def _frame(values: Sequence[Spec], width_px: int) -> _Frame:
    low = min(value["top1_low"] for value in values)
    high = max(value["top1_high"] for value in values)
    room = max(high - low, 1.0) * _MARGIN
    left, right = min(v["low"] for v in values), max(v["high"] for v in values)
    stretch = max(right / left, 1.5) ** _MARGIN
    return _Frame(
        x=(left / stretch, right * stretch),
        y=(low - room, min(high + room, 100.0 + room / 2)),
        width=width_px - _AXES_PX[0],
        height=_HEIGHT_PX - _AXES_PX[1],
    )


def _lines(base: Any) -> tuple[Any, ...]:
    """The front as a staircase, and a dotted line from FP32 to INT8 of each network."""
    front = base.transform_filter("datum.front").mark_line(
        interpolate="step-after", color=SOFT, strokeWidth=1.25, opacity=0.9
    )
    pair = base.mark_line(color=SOFT, strokeWidth=1.5, strokeDash=[1, 4], strokeCap="round")
    return front.encode(order="p50:Q"), pair.encode(detail="model:N")


def _marks(alt: ModuleType, base: Any, rows: list[Row]) -> tuple[Any, ...]:
    """Intervals and bubbles."""
    color = color_by_precision(alt, rows, legend=True)
    tooltip = [
        alt.Tooltip("name:N", title="file"),
        alt.Tooltip("p50:Q", title="p50, ms", format=".3~f"),
        alt.Tooltip("top1:Q", title="top-1, %", format=".1f"),
        alt.Tooltip("megabytes:Q", title="size, MB", format=".2~f"),
    ]
    across = base.mark_rule(strokeWidth=1.5).encode(x="low:Q", x2="high:Q", color=color)
    up = base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(
        y="top1_low:Q", y2="top1_high:Q", color=color
    )
    bubble = base.mark_circle(opacity=0.9, stroke=PAGE, strokeWidth=1.5).encode(
        color=color, size=alt.Size("area:Q", scale=None, legend=None), tooltip=tooltip
    )
    return across, up, bubble


def _labels(base: Any, values: Sequence[Spec], frame: _Frame) -> list[Any]:
    """The name of each network once, at whichever of its points there is room."""
    groups: dict[str, list[Spec]] = {}
    for value in sorted(values, key=lambda value: float(value["p50"])):
        groups.setdefault(value["model"], []).append(value)
    dots = [[frame.dot(value) for value in group] for group in groups.values()]
    places = place_labels(tuple(groups), dots, width=frame.width, height=frame.height)
    marks = []
    for (model, group), place, own in zip(groups.items(), places, dots, strict=True):
        reach = label_offset(own[place.dot])
        right, above = place.side.endswith("right"), place.side.startswith("above")
        mark = base.mark_text(
            align="left" if right else "right",
            baseline="bottom" if above else "top",
            dx=reach if right else -reach,
            dy=-reach if above else reach,
            color=INK,
            fontSize=12,
        )
        data = {"values": [{**group[place.dot], "model": model}]}
        marks.append(mark.encode(text="model:N").properties(data=_inline(data)))
    return marks


def _inline(data: Spec) -> Any:
    return altair().Data(**data)
