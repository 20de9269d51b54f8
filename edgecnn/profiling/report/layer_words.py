"""The layers of a file in words: one list of columns for the page, Markdown and the text."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.counted import counted
from edgecnn.profiling.layers import Roofs, TimedLayer, TimedLayers
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.words import printable

TITLES = ("layer", "runs as", "ms", "share", "MMAC", "kB", "GMAC/s", "GB/s", "of the roof")
WORDS = 2  # the first columns, which are no numbers

_NAMED = 2  # layers of a sentence
_FEW = 3  # files that have one


def layer_cells(layer: TimedLayer, row: Row) -> tuple[str, ...]:
    """One layer, a cell for each title; empty where nothing is known."""
    found = row.layers or TimedLayers()
    kind = f"{layer.kind} {layer.precision}".strip()
    numbers = (
        f"{layer.time_ms:.3f}",
        f"{found.share(layer):.1%}",
        _number(layer.macs, 1e6),
        _number(layer.moved_bytes, 1e3),
        _number(layer.gmac_per_s, 1),
        _number(layer.gb_per_s, 1),
        roof_words(layer, row.roofs),
    )
    return (printable(layer.title), printable(kind), *numbers)


def roof_words(layer: TimedLayer, roofs: Roofs) -> str:
    """Which roof a layer comes nearer to, and how near: `compute 62 %`."""
    place = roofs.place(layer)
    return f"{place.bound} {place.share * 100:.0f} %" if place else ""


def layers_line(row: Row) -> str:
    """What the layers take together, and what their profiler cost; or why nobody can tell."""
    found = row.profile.layers
    if found is None:
        return ""
    if found.unavailable:
        return f"{row.name}: unavailable: {printable(found.unavailable)}"
    layers = counted(len(found.layers), "layer")
    return (
        f"{row.name}: {layers}, {found.layers_ms:.3g} of the {found.profiled_ms:.3g} ms of a run "
        f"under the profiler, {found.run_ms:.3g} ms without it"
    )


def layer_sentences(summary: Summary) -> tuple[str, ...]:
    """Where most of the time goes, where files are few."""
    rows = [row for row in summary.rows if row.profile.layers]
    return tuple(map(_sentence, rows)) if len(rows) <= _FEW else ()


def _sentence(row: Row) -> str:
    found = row.layers
    if found is None:
        return f"Layers of {layers_line(row)}."
    parts = [f"{printable(layer.title)} {found.share(layer) * 100:.0f} %"
             for layer in found.dearest[:_NAMED]]  # fmt: skip
    if len(parts) == 1:
        return f"The one layer of {row.name} is {parts[0]}."
    return f"Of {len(found.layers)} layers of {row.name} the longest are {_listed(parts)}."


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(parts)


def _number(value: float | None, unit: float) -> str:
    """Three digits of a value in a unit, or all before the point; nothing where there is none."""
    if not value:
        return ""
    return f"{value / unit:.3g}" if value < 1000 * unit else f"{value / unit:,.0f}"
