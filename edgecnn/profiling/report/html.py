"""A report as one HTML file that needs no network: text, a table, and plots that are drawn in it.

Everything that came from a file or a device is escaped: names are strangers' words.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

from edgecnn import __version__
from edgecnn.counted import counted
from edgecnn.errors import EdgecnnError
from edgecnn.files import write_text
from edgecnn.profiling.report.latencies import latency_plot
from edgecnn.profiling.report.layer_tables import layers_section
from edgecnn.profiling.report.pace import STRIPS, has_pace, pace_plot, pace_words, strips
from edgecnn.profiling.report.roofline import has_roofline, roofline_data, roofline_plot
from edgecnn.profiling.report.scatter import OPERATIONS, Cost, accuracy_plot, cost_of, shown
from edgecnn.profiling.report.spread import (
    Datasets,
    beyond,
    blocks_data,
    blocks_plot,
    spread_data,
    spread_plot,
)
from edgecnn.profiling.report.style import Spec, color_of
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.table import device_list, files_table, method_list
from edgecnn.profiling.report.text import device_line
from edgecnn.profiling.report.words import escaped, like, value_and_error

_WIDE_PX, _NARROW_PX = 912, 350


def report_name(created: datetime) -> str:
    """`profile-20261121-1405.html`."""
    return f"profile-{created:%Y%m%d-%H%M}.html"


def write_html(summary: Summary, target: Path) -> None:
    """Write the report atomically; raises FileError, EdgecnnError where Altair is missing."""
    write_text(target, html_page(summary))


def html_page(summary: Summary) -> str:
    """The whole page; raises EdgecnnError where Altair is missing."""
    title = f"{'Accuracy and latency' if summary.has_accuracy else 'Latency'} on {_device(summary)}"
    return Template(_part("page.html")).substitute(
        title=escaped(title),
        subtitle=escaped(_subtitle(summary)),
        verdict=_verdict(summary),
        plot_title="Accuracy against latency" if summary.has_accuracy else "Latency",
        plot_note=escaped(_plot_note(summary)),
        table=files_table(summary),
        table_note=escaped(_table_note(summary)),
        operations=_operations(summary),
        pace=_pace(summary),
        layers=layers_section(summary),
        spreads="\n".join(_spread(index, row) for index, row in enumerate(summary.rows)),
        device=device_list(summary.report.device, summary.report.device_after),
        method=method_list(summary),
        plots=_as_data(_plots(summary)),
        library=_library(),
        css=_part("page.css"),
        script=_part("page.js"),
        version=escaped(__version__),
    )


def _device(summary: Summary) -> str:
    """The part of the device line before its state."""
    return device_line(summary.report.device).partition(";")[0]


def _subtitle(summary: Summary) -> str:
    created = summary.report.created
    when = f"{created.day} {created:%B %Y, %H:%M} {created.tzname() or ''}".strip()
    measured = summary.rows[0].profile.measurement
    threads = counted(measured.threads, "thread")
    engine = measured.facts.get("engine", measured.engine)
    return f"{when} · {engine} · {threads}, batch {measured.batch}"


def _verdict(summary: Summary) -> str:
    first, *more = summary.sentences
    parts = [f'<p class="verdict">{_told(first)}</p>']
    parts += [f'<p class="more">{_told(sentence)}</p>' for sentence in more]
    if summary.warnings:
        items = "".join(f"<li>{_told(warning)}</li>" for warning in summary.warnings)
        parts.append(f'<ul class="warnings">{items}</ul>')
    return "\n".join(parts)


def _told(sentence: str) -> str:
    """A sentence that never breaks between a number and its unit."""
    return escaped(sentence).replace(" %", "\u00a0%").replace(" ms", "\u00a0ms")


def _plot_note(summary: Summary) -> str:
    if not summary.has_accuracy:
        return (
            "Accuracy was not measured: give labelled images (--data) to see it against latency."
            " Bars are 95 % intervals of the median."
        )
    left_out = [row.name for row in summary.rows if row.profile.accuracy is None]
    front = (
        " The staircase is the front: nothing measured here is both faster and more accurate."
        if any(row.on_front for row in summary.rows)
        else ""
    )
    note = (
        f"Up and to the left is better.{front} Bars are 95 % intervals, the area of a bubble is"
        " its file's size, and a dotted line joins the files of one network."
    )
    return (
        f"{note} Not shown, without measured accuracy: {', '.join(left_out)}." if left_out else note
    )


def _table_note(summary: Summary) -> str:
    note = "± is the larger side of the 95 % interval."
    if any(row.profile.contract.random_weights for row in summary.rows):
        note += " Random weights have no accuracy."
    return note


def _operations(summary: Summary) -> str:
    """The section of accuracy against operations, where these are known."""
    if not shown(summary, OPERATIONS):
        return ""
    title = "Accuracy against operations"
    return (
        f"<section>\n<h2>{title}</h2>\n{_plot_box('operations', None, title)}\n"
        '<p class="note">The area of a bubble is the number of parameters. What a network has to'
        " compute says less of its latency than one thinks: compare with the plot above.</p>\n"
        "</section>"
    )


def _pace(summary: Summary) -> str:
    """The section of the measurement over time, and in words what the device did not tell."""
    if not has_pace(summary):
        return ""
    there = strips(summary)
    titles = {strip.name: strip.title for strip in STRIPS}
    boxes = [_plot_box("pace", None, "Each block against the median of its file, over time")]
    boxes += [_plot_box(name, None, f"{titles[name]}, over time") for name in there]
    silent = [title for name, title in titles.items() if name not in there]
    told = "Each point is a block of runs; what others took is time that runs waited for a CPU."
    told += f" {pace_words(summary)}"
    told += f" Not told by this device: {'; '.join(silent)}." if silent else ""
    note = f'<p class="note">{told}</p>'
    return "\n".join(
        ["<section>", "<h2>The measurement over time</h2>", *boxes, note, "</section>"]
    )


def _spread(index: int, row: Row) -> str:
    name, own = escaped(row.name), color_of(row.profile.precision)
    return (
        f'<div class="spread" style="--own: {own}"><h3>{name}</h3>'
        f'<p>{escaped(_percentiles(row))}</p><div class="pair">'
        f"{_plot_box('spread', index, f'How the runs of {name} are spread')}"
        f"{_plot_box('blocks', index, f'{name} block by block')}</div></div>"
    )


def _plot_box(plot: str, index: int | None, label: str) -> str:
    """Where a plot is drawn; `index` is that of the file whose data it shows."""
    own = "" if index is None else f' data-own="{index}"'
    return f'<div class="plot" role="figure" aria-label="{label}" data-plot="{plot}"{own}></div>'


def _percentiles(row: Row) -> str:
    latency, runs = row.latency, len(row.profile.measurement.latencies_ns)
    parts = [
        f"p50 {value_and_error(latency.p50)} ms",
        f"p90 {like(latency.p90.value, latency.p50)}",
    ]
    if latency.p99:
        parts.append(f"p99 {like(latency.p99.value, latency.p50)}")
    slowest = max(row.profile.measurement.latencies_ns) / 1e6
    parts += [f"slowest {like(slowest, latency.p50)}", f"{runs:,} runs", row.profile.state]
    if outside := beyond(row):
        parts.append(f"{counted(outside, 'run lies', 'runs lie')} beyond the plot")
    return " · ".join(parts)


def _plots(summary: Summary) -> dict[str, Any]:
    """The plots, and for those that all files share the data of each file."""
    plots: dict[str, Any] = {"main": {"wide": latency_plot(summary)}}
    if summary.has_accuracy:
        plots["main"] = _both_widths(summary, cost_of(summary))
    if shown(summary, OPERATIONS):
        plots["operations"] = _both_widths(summary, OPERATIONS)
    if has_pace(summary):
        plots["pace"] = {"wide": pace_plot(summary)}
        plots |= {name: {"wide": plot} for name, plot in strips(summary).items()}
    own = [_own_data(row) for row in summary.rows]
    shared = {"spread": {"wide": spread_plot()}, "blocks": {"wide": blocks_plot()}}
    if any(map(has_roofline, summary.rows)):
        shared["roofline"] = {"wide": roofline_plot()}
    return {**_as_vega({**plots, **shared}), "own": own}


def _as_vega(plots: Mapping[str, Mapping[str, Spec]]) -> dict[str, dict[str, Spec]]:
    """Vega-Lite worked out here once, and not by the browser for every file."""
    vega = _vl_convert().vegalite_to_vega
    return {
        name: {width: vega(spec) for width, spec in forms.items()} for name, forms in plots.items()
    }


def _own_data(row: Row) -> dict[str, Datasets]:
    data = {"spread": spread_data(row), "blocks": blocks_data(row)}
    return data | {"roofline": roofline_data(row)} if has_roofline(row) else data


def _both_widths(summary: Summary, cost: Cost) -> dict[str, Any]:
    widths = {"wide": _WIDE_PX, "narrow": _NARROW_PX}
    return {
        name: accuracy_plot(summary, width_px=width_px, cost=cost)
        for name, width_px in widths.items()
    }


def _as_data(document: Mapping[str, Any]) -> str:
    """JSON that no word in it can end the script element with."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@functools.cache
def _library() -> str:
    """Vega, Vega-Lite and vega-embed, once for all plots."""
    bundle: str = _vl_convert().javascript_bundle()
    return bundle.replace("</script", "<\\/script")


def _vl_convert() -> ModuleType:
    try:
        import vl_convert
    except ImportError as error:
        raise EdgecnnError(
            "the HTML report needs vl-convert, which is not installed",
            hint="pip install 'edgecnn[report]'",
        ) from error
    module: ModuleType = vl_convert
    return module


def _part(name: str) -> str:
    folder = importlib.resources.files("edgecnn.profiling.report")
    return folder.joinpath(name).read_text(encoding="utf-8")
