"""Accuracy against what it costs: latency, the plot that a report opens with, or operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
from edgecnn.profiling.statistics import Interval

_HEIGHT_PX = 380
_AXES_PX = (62, 78)  # what axes and legend take off the width and the height
_LARGEST_AREA = 1100.0  # of the largest file's bubble, px^2
_SMALLEST_AREA = 90.0
_MARGIN = 0.12  # of the range, kept free around the points


@dataclass(frozen=True, slots=True)
class Cost:
    """What accuracy is shown against, and what a bubble's area stands for.

    `of` and `size` are None of rows for which nobody knows them: these are left out.
    """

    title: str
    short: str
    of: Callable[[Row], Interval | None]
    size: Callable[[Row], float | None]
    size_title: str
    has_front: bool


def _operations(row: Row) -> Interval | None:
    macs = row.profile.macs
    return Interval(macs / 1e9, macs / 1e9, macs / 1e9) if macs else None


LATENCY = Cost(
    title="latency, ms (p50, log scale)",
    short="p50, ms",
    of=lambda row: row.latency.p50,
    size=lambda row: row.profile.size_bytes / 1e6,
    size_title="size, MB",
    has_front=True,
)
THROUGHPUT = Cost(
    title="time for an image with all streams busy, ms (log scale)",
    short="ms an image",
    of=lambda row: row.latency.cost,
    size=LATENCY.size,
    size_title=LATENCY.size_title,
    has_front=True,
)
OPERATIONS = Cost(
    title="multiply-adds of one image, GMAC (log scale)",
    short="GMAC",
    of=_operations,
    size=lambda row: row.profile.parameters and row.profile.parameters / 1e6,
    size_title="parameters, M",
    has_front=False,
)


def cost_of(summary: Summary) -> Cost:
    """Latency, or where throughput was asked for its inverse."""
    return THROUGHPUT if summary.is_throughput else LATENCY


def shown(summary: Summary, cost: Cost) -> list[Row]:
    """The rows of which both accuracy and cost are known."""
    rows = [row for row in summary.rows if row.profile.accuracy]
    return [row for row in rows if cost.of(row) is not None and cost.size(row) is not None]


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot's ranges (of the cost, and percent) and its inner size in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float
    height: float

    def dot(self, value: Spec) -> Dot:
        """Where a point lies, and how large it is."""
        left, right = map(math.log, self.x)
        across = (math.log(value["cost"]) - left) / (right - left)
        up = (value["top1"] - self.y[0]) / (self.y[1] - self.y[0])
        radius = math.sqrt(value["area"] / math.pi)
        return Dot(across * self.width, (1 - up) * self.height, radius)


def accuracy_plot(summary: Summary, *, width_px: int, cost: Cost = LATENCY) -> Spec:
    """Top-1 against a cost with 95 % intervals, for a page that leaves it about `width_px`.

    FP32 and INT8 of a network are joined; against latency the front is drawn.
    """
    alt = altair()
    rows = shown(summary, cost)
    values = _values(rows, cost)
    frame = _frame(values, width_px)
    x = alt.X("cost:Q", title=cost.title).scale(type="log", domain=list(frame.x), nice=False)
    y = alt.Y("top1:Q", title="top-1, %").scale(domain=list(frame.y), nice=False, zero=False)
    base = alt.Chart(alt.Data(values=values)).encode(
        x=x.axis(values=log_ticks(*frame.x), format="~g"), y=y.axis(tickCount=6)
    )
    layers = (
        *_lines(base, cost),
        *_marks(alt, base, rows, cost),
        *_labels(base, values, frame),
    )
    return finished(alt.layer(*layers).properties(width="container", height=_HEIGHT_PX))


def _values(rows: Sequence[Row], cost: Cost) -> list[Spec]:
    largest = max(cost.size(row) or 0.0 for row in rows)
    return [_value(row, row.profile.accuracy.top1, cost, largest) for row in rows
            if row.profile.accuracy]  # fmt: skip


def _value(row: Row, top1: Accuracy, cost: Cost, largest: float) -> Spec:
    across, size = cost.of(row), cost.size(row) or 0.0
    assert across is not None
    return {
        "name": row.name,
        "model": row.model,
        "precision": row.profile.precision,
        "cost": across.value,
        "low": across.low,
        "high": across.high,
        "top1": top1.value * 100,
        "top1_low": top1.low * 100,
        "top1_high": top1.high * 100,
        "size": size,
        "area": max(_SMALLEST_AREA, size / largest * _LARGEST_AREA),
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


def _lines(base: Any, cost: Cost) -> tuple[Any, ...]:
    """The front as a staircase, and a dotted line from FP32 to INT8 of each network."""
    front = base.transform_filter("datum.front").mark_line(
        interpolate="step-after", color=SOFT, strokeWidth=1.25, opacity=0.9
    )
    pair = base.mark_line(color=SOFT, strokeWidth=1.5, strokeDash=[1, 4], strokeCap="round")
    joined = pair.encode(detail="model:N")
    return (front.encode(order="cost:Q"), joined) if cost.has_front else (joined,)


def _marks(alt: ModuleType, base: Any, rows: list[Row], cost: Cost) -> tuple[Any, ...]:
    """Intervals and bubbles."""
    color = color_by_precision(alt, rows, legend=True)
    tooltip = [
        alt.Tooltip("name:N", title="file"),
        alt.Tooltip("cost:Q", title=cost.short, format=".3~f"),
        alt.Tooltip("top1:Q", title="top-1, %", format=".1f"),
        alt.Tooltip("size:Q", title=cost.size_title, format=".2~f"),
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
    for value in sorted(values, key=lambda value: float(value["cost"])):
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
