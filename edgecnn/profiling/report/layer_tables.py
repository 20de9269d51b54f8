"""The layers of each file on the page: the roofline, and a table to sort; all words escaped."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.profiling.layers import TimedLayer
from edgecnn.profiling.report.layer_words import TITLES, WORDS, layer_cells, layers_line
from edgecnn.profiling.report.roofline import has_roofline
from edgecnn.profiling.report.style import color_of
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.table import sorted_by
from edgecnn.profiling.report.words import escaped

_OPEN = 2  # so many files are shown at once; of more, those that somebody asks for

_NOTE = (
    "Times are those of the engine's own profiler. GMAC/s and GB/s are what a layer reached;"
    " bytes are its inputs, outputs and weights, each once, from memory or from a cache."
    " The roof is the best that any layer of these files reached here, by precision: compute"
    " 62&nbsp;% is 62&nbsp;% of the highest GMAC/s, memory 40&nbsp;% is 40&nbsp;% of the highest"
    " GB/s, whichever is nearer."
)


def layers_section(summary: Summary) -> str:
    """The section of the layers; nothing where nobody asked for them."""
    rows = [(index, row) for index, row in enumerate(summary.rows) if row.profile.layers]
    if not rows:
        return ""
    parts = [_file(index, row, is_open=len(rows) <= _OPEN) for index, row in rows]
    title = "<h2>Where the time of a run goes</h2>"
    return "\n".join(["<section>", title, f'<p class="note">{_NOTE}</p>', *parts, "</section>"])


def _file(index: int, row: Row, *, is_open: bool) -> str:
    told = escaped(layers_line(row))
    if row.layers is None:
        return f'<p class="note">{told}</p>'
    name, own = escaped(row.name), color_of(row.profile.precision)
    plot = ""
    if has_roofline(row):
        plot = (
            f'<div class="plot" role="figure" aria-label="Roofline of the layers of {name}"'
            f' data-plot="roofline" data-own="{index}"></div>'
        )
    return (
        f'<details class="layers" style="--own: {own}"{" open" if is_open else ""}>'
        f"<summary>{told}</summary>\n{plot}"
        f'<div class="scroll tall" tabindex="0" role="region"'
        f' aria-label="Layers of {name}, which the titles sort">\n{_table(row)}\n</div></details>'
    )


def _table(row: Row) -> str:
    titles = "".join(
        f'<th scope="col"{_words(place)}><button type="button">{title}</button></th>'
        for place, title in enumerate(("#", *TITLES))
    )
    layers = row.layers.layers if row.layers else ()
    lines = "\n".join(_line(number, layer, row) for number, layer in enumerate(layers, start=1))
    return (
        f'<table class="sortable"><thead><tr>{titles}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table>"
    )


def _line(number: int, layer: TimedLayer, row: Row) -> str:
    name, *others = layer_cells(layer, row)
    nodes = escaped(", ".join(layer.nodes) or layer.name)
    head = f'<td data-key="{number}">{number}</td>'
    head += f'<th scope="row" class="words" title="{nodes}">{escaped(name)}</th>'
    return f"<tr>{head}{''.join(_cells(layer, row, others))}</tr>"


def _cells(layer: TimedLayer, row: Row, told: Sequence[str]) -> list[str]:
    place = row.roofs.place(layer)
    keys = (
        None,
        layer.time_ms,
        layer.time_ms,
        layer.macs,
        layer.moved_bytes,
        layer.gmac_per_s,
        layer.gb_per_s,
        place.share if place else None,
    )
    return [
        f"<td{_words(column)}{sorted_by(key)}>{escaped(cell)}</td>"
        for column, (key, cell) in enumerate(zip(keys, told, strict=True), start=2)
    ]


def _words(column: int) -> str:
    """The class of the columns after the number that hold words."""
    return ' class="words"' if 1 <= column <= WORDS else ""
