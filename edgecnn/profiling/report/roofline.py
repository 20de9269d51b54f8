"""Each layer under the roof: what it computes a second against what it computes for each byte.

One plot for every file, which brings its data, like those of the spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgecnn.profiling.layers import TimedLayers
from edgecnn.profiling.report.spread import OWN, Datasets
from edgecnn.profiling.report.style import INK, PAGE, SOFT, Spec, altair, finished
from edgecnn.profiling.report.summary import Row
from edgecnn.profiling.report.words import printable

_HEIGHT_PX = 240
_MARGIN = 1.5  # how far roofs reach beyond the layers, as a factor
_AREAS = (18.0, 500.0)  # of a layer that takes next to nothing, and of one that takes all; px^2


def roofline_plot() -> Spec:
    """The dataset `layers`, areas by time, under the lines of the dataset `roofs`."""
    alt = altair()
    x = alt.X("intensity:Q", title="multiply-adds a byte (log scale)").scale(type="log", nice=False)
    y = alt.Y("gmac:Q", title="GMAC/s (log scale)").scale(type="log", nice=False)
    roofs = (
        alt.Chart(alt.Data(name="roofs"))
        .mark_line(color=SOFT, strokeWidth=1.25)
        .encode(x=x.axis(tickCount=6, format="~g", grid=False), y=y, detail="name:N")
    )
    names = (
        alt.Chart(alt.Data(name="roofs"))
        .transform_filter("datum.last")
        .mark_text(align="right", baseline="bottom", dy=-3, color=INK, fontSize=11)
        .encode(x="intensity:Q", y="gmac:Q", text="name:N")
    )
    layers = (
        alt.Chart(alt.Data(name="layers"))
        .mark_circle(color=OWN, opacity=0.75, stroke=PAGE, strokeWidth=1)
        .encode(
            x=x,
            y=y.axis(tickCount=5, format="~g"),
            size=alt.Size("area:Q", scale=None, legend=None),
            tooltip=[
                alt.Tooltip("name:N", title="layer"),
                alt.Tooltip("ms:Q", title="ms", format=".3f"),
                alt.Tooltip("gmac:Q", title="GMAC/s", format=".3~g"),
                alt.Tooltip("intensity:Q", title="multiply-adds a byte", format=".3~g"),
            ],
        )
    )
    plot = alt.layer(roofs, layers, names)
    return finished(plot.properties(width="container", height=_HEIGHT_PX))


def has_roofline(row: Row) -> bool:
    """Whether any layer of a file computes something that is known."""
    return any(True for _ in _points(row))


def roofline_data(row: Row) -> Datasets:
    """The layers that compute something, and the roofs over them."""
    points = list(_points(row))
    return {"layers": points, "roofs": list(_roofs(row, points)) if points else []}


def _points(row: Row) -> Iterator[dict[str, Any]]:
    found = row.layers or TimedLayers()
    smallest, largest = _AREAS
    for layer in found.layers:
        if layer.intensity is not None and layer.gmac_per_s is not None:
            yield {
                "name": printable(layer.title),
                "precision": layer.precision,
                "ms": round(layer.time_ms, 4),
                "intensity": _brief(layer.intensity),
                "gmac": _brief(layer.gmac_per_s),
                "area": round(smallest + (largest - smallest) * found.share(layer), 1),
            }


def _roofs(row: Row, points: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each precision the slope that memory sets, and the level that computing does."""
    per_byte, reached = [point["intensity"] for point in points], row.roofs
    left, right = min(per_byte) / _MARGIN, max(per_byte) * _MARGIN
    for precision in sorted({str(point["precision"]) for point in points}):
        level = reached.gmac_per_s[precision]
        ridge = level / reached.gb_per_s
        corners = sorted({left, min(max(ridge, left), right), right})
        for at in corners:
            yield {
                "name": f"best {precision} here",
                "intensity": _brief(at),
                "gmac": _brief(min(level, reached.gb_per_s * at)),
                "last": at == right,
            }


def _brief(value: float) -> float:
    return float(f"{value:.4g}")
