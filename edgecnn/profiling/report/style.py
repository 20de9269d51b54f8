"""How every plot of a report looks; colours are variables of the page, for light and dark."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from edgecnn.errors import EdgecnnError
from edgecnn.profiling.report.summary import Row

Spec = dict[str, Any]

INK, SOFT, LINE, PAGE = "var(--ink)", "var(--soft)", "var(--line)", "var(--page)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"

# The page's colours in the light (page.css), for pictures that no page surrounds.
LIGHT = {
    INK: "#1d1f22",
    SOFT: "#6b6a66",
    LINE: "#e3dfd8",
    PAGE: "#ffffff",
    "var(--fp32)": "#33658a",
    "var(--int8)": "#cc5a1a",
    "var(--other)": "#5b7f4f",
}

_COLORS = {"fp32": "var(--fp32)", "int8": "var(--int8)"}
_OTHER = "var(--other)"


def altair() -> ModuleType:
    """Altair, imported when a plot is drawn; raises EdgecnnError where it is not installed."""
    try:
        import altair as module
    except ImportError as error:
        raise EdgecnnError(
            "the HTML report needs altair, which is not installed",
            hint="pip install 'edgecnn[report]'",
        ) from error
    loaded: ModuleType = module
    return loaded


def color_of(precision: str) -> str:
    """The colour of a precision, the same in every plot."""
    return _COLORS.get(precision, _OTHER)


def color_by_precision(alt: ModuleType, rows: list[Row], *, legend: bool) -> Any:
    """The colour encoding of plots that show several files."""
    found = sorted({row.profile.precision for row in rows})
    scale = alt.Scale(domain=found, range=[color_of(precision) for precision in found])
    shown = alt.Legend(title=None, orient="top", symbolType="circle", symbolOpacity=1)
    return alt.Color("precision:N", scale=scale, legend=shown if legend else None)


def finished(chart: Any) -> Spec:
    """A chart as Vega-Lite with the house's fonts, lines and colours."""
    styled = (
        chart.configure(background="transparent", font=FONT, padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=SOFT,
            titleColor=SOFT,
            titleFontWeight="normal",
            titleFontSize=12,
            labelFontSize=11,
            titlePadding=8,
            gridColor=LINE,
            domainColor=LINE,
            tickColor=LINE,
            labelOverlap="greedy",
        )
        .configure_legend(labelColor=INK, labelFontSize=12, offset=4)
    )
    spec: Spec = styled.to_dict()
    return spec
