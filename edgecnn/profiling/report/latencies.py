"""Latency alone: the files side by side, for when no accuracy is known."""

from __future__ import annotations

from edgecnn.profiling.report.layout import log_ticks
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

_ROW_PX = 34
_WIDE = 4.0  # a range of more than so many times is shown on a log scale


def latency_plot(summary: Summary) -> Spec:
    """One line a network: p50 of its files with intervals, joined, and p90 as a tick."""
    alt = altair()
    rows = list(summary.rows)
    values = [_value(row) for row in rows]
    low, high = min(v["low"] for v in values), max(max(v["high"], v["p90"]) for v in values)
    wide = high / low > _WIDE
    scale = (
        alt.Scale(type="log", domain=[low / 1.15, high * 1.15], nice=False)
        if wide
        else alt.Scale(domain=[0, high * 1.05], nice=False)
    )
    ticks = log_ticks(low / 1.15, high * 1.15) if wide else alt.Undefined
    shown = "latency, ms (p50; the tick is p90"
    if summary.is_throughput:
        shown = "ms (of an image, all streams busy"
    title = f"{shown}{', log scale' if wide else ''})"
    x = alt.X("p50:Q", title=title, scale=scale).axis(values=ticks, format=".6~g", tickCount=6)
    y = alt.Y("model:N", title=None, sort=None).axis(
        labelLimit=160, labelColor=INK, labelFontSize=12, grid=False, ticks=False, domain=False
    )
    base = alt.Chart(alt.Data(values=values)).encode(x=x, y=y)
    color = color_by_precision(alt, rows, legend=True)
    layers = (
        base.mark_line(color=SOFT, strokeWidth=1.5, strokeDash=[1, 4]).encode(detail="model:N"),
        base.mark_rule(strokeWidth=1).encode(x2="p90:Q", color=color),
        base.mark_tick(thickness=1.5, size=9).encode(x="p90:Q", color=color),
        base.mark_rule(strokeWidth=4, opacity=0.5).encode(x="low:Q", x2="high:Q", color=color),
        base.mark_circle(size=90, opacity=1, stroke=PAGE, strokeWidth=1.5).encode(
            color=color,
            tooltip=[
                alt.Tooltip("name:N", title="file"),
                alt.Tooltip("p50:Q", title="p50, ms", format=".3~f"),
                alt.Tooltip("p90:Q", title="p90, ms", format=".3~f"),
            ],
        ),
    )
    models = len({value["model"] for value in values})
    plot = alt.layer(*layers).properties(width="container", height=_ROW_PX * models)
    return finished(plot)


def _value(row: Row) -> Spec:
    cost = row.latency.cost
    return {
        "name": row.name,
        "model": row.model,
        "precision": row.profile.precision,
        "p50": cost.value,
        "low": cost.low,
        "high": cost.high,
        "p90": cost.high if row.latency.images_per_s else row.latency.p90.value,
    }
