"""The measurement over time: how fast each file was, and under it how the device fared.

All strips have seconds since the first block below them, so that they can be read together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgecnn.profiling.records import Around, Measurement
from edgecnn.profiling.report.style import INK, SOFT, Spec, altair, color_by_precision, finished
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.statistics import quantile

_PACE_PX, _STRIP_PX = 150, 64
_AXIS_PX = 48  # the same for all, so that they stand below each other
_SAME_WIDTH = {"minExtent": _AXIS_PX, "maxExtent": _AXIS_PX}


@dataclass(frozen=True, slots=True)
class Strip:
    """One thing about the device over time: `read` is None where a block does not tell it."""

    name: str
    title: str
    read: Callable[[Measurement, Around], float | None]


def _reading(key: str) -> Callable[[Measurement, Around], float | None]:
    def read(_: Measurement, around: Around) -> float | None:
        value = around.state.get(key)
        return float(value) if isinstance(value, (int, float)) else None

    return read


def _taken(measured: Measurement, around: Around) -> float | None:
    if around.waited_ns is None:
        return None
    asked_ns = around.wall_ns * measured.threads * measured.streams
    return min(100.0, 100 * around.waited_ns / asked_ns)


STRIPS = (
    Strip("clock", "clock, MHz", _reading("clock_mhz")),
    Strip("heat", "hottest, °C", _reading("temperature_c")),
    Strip("taken", "CPU lost, %", _taken),
)


def has_pace(summary: Summary) -> bool:
    """Whether anybody wrote down when the blocks were measured."""
    return any(row.profile.measurement.around for row in summary.rows)


def pace_plot(summary: Summary) -> Spec:
    """The median of each block against its file's own median, in percent, over time."""
    alt = altair()
    rows = list(summary.rows)
    base = alt.Chart(alt.Data(values=list(_paces(rows)))).encode(x=_seconds(alt, summary))
    y = alt.Y("percent:Q", title="against its median, %").scale(zero=False, nice=True)
    color = color_by_precision(alt, rows, legend=True)
    still = alt.Chart(alt.Data(values=[{"percent": 0}])).mark_rule(color=SOFT, opacity=0.6)
    lines = base.mark_line(strokeWidth=1, opacity=0.45).encode(
        y=y.axis(tickCount=5, format="+,.6~f", **_SAME_WIDTH), detail="name:N", color=color
    )
    dots = base.mark_circle(size=26, opacity=0.9).encode(
        y="percent:Q",
        color=color,
        tooltip=[
            alt.Tooltip("name:N", title="file"),
            alt.Tooltip("p50:Q", title="p50, ms", format=".3~f"),
            alt.Tooltip("percent:Q", title="against its median, %", format="+,.2~f"),
        ],
    )
    plot = alt.layer(still.encode(y="percent:Q"), lines, dots)
    return finished(plot.properties(width="container", height=_PACE_PX))


def pace_words(summary: Summary) -> str:
    """What the plots show, for those who hear the page."""
    percents = [each["percent"] for each in _paces(list(summary.rows))]
    told = [f"Block medians lay {min(percents):+,.1f} to {max(percents):+,.1f} % from their file's"]
    for strip in STRIPS:
        if values := [each["value"] for each in _points(strip, summary)]:
            told.append(f"{strip.title}: {min(values):.4g} to {max(values):.4g}")
    return f"{'; '.join(told)}."


def strips(summary: Summary) -> dict[str, Spec]:
    """A plot for each thing that the device told, by name."""
    found = {strip.name: list(_points(strip, summary)) for strip in STRIPS}
    return {
        strip.name: _strip_plot(strip, found[strip.name], summary)
        for strip in STRIPS
        if found[strip.name]
    }


def _strip_plot(strip: Strip, points: list[Spec], summary: Summary) -> Spec:
    alt = altair()
    y = alt.Y("value:Q", title=strip.title).scale(zero=strip.name == "taken", nice=True)
    base = alt.Chart(alt.Data(values=points)).encode(
        x=_seconds(alt, summary), y=y.axis(tickCount=3, format=",.6~f", **_SAME_WIDTH)
    )
    line = base.mark_line(color=INK, strokeWidth=1.25, interpolate="step-after", opacity=0.8)
    dots = base.mark_circle(color=INK, size=14).encode(tooltip=["s:Q", "value:Q"])
    return finished(alt.layer(line, dots).properties(width="container", height=_STRIP_PX))


def _seconds(alt: Any, summary: Summary) -> Any:
    end_s = max(_end_s(around) for row in summary.rows for around in row.profile.measurement.around)
    scale = alt.Scale(domain=[0, end_s], nice=False)
    return alt.X("s:Q", title="seconds", scale=scale).axis(grid=False, tickCount=6, format=".6~g")


def _paces(rows: list[Row]) -> Iterator[Spec]:
    for row in rows:
        measured = row.profile.measurement
        middle_ms = row.latency.p50.value
        for block, around in zip(measured.blocks, measured.around, strict=False):
            p50_ms = quantile(block, 0.5) / 1e6
            yield {
                "name": row.name,
                "precision": row.profile.precision,
                "s": round(_end_s(around), 3),
                "p50": float(f"{p50_ms:.6g}"),
                "percent": round((p50_ms / middle_ms - 1) * 100, 3),
            }


def _points(strip: Strip, summary: Summary) -> Iterator[Spec]:
    """What every block of every file told, in the order of time."""
    found = []
    for row in summary.rows:
        measured = row.profile.measurement
        for around in measured.around:
            value = strip.read(measured, around)
            if value is not None:
                found.append({"s": round(_end_s(around), 3), "value": round(value, 3)})
    yield from sorted(found, key=lambda point: point["s"])


def _end_s(around: Around) -> float:
    return around.started_s + around.wall_ns / 1e9
