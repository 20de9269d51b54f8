"""The parts of the page that are lists and tables; every word in them is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.counted import counted
from edgecnn.files import human_size
from edgecnn.profiling.energy import energy_mj
from edgecnn.profiling.records import Measurement
from edgecnn.profiling.report.summary import Row, Summary, published_source, published_top1
from edgecnn.profiling.report.text import against_title, p99
from edgecnn.profiling.report.words import UNAVAILABLE, escaped, like, percent, value_and_error
from edgecnn.profiling.statistics import MIN_RUNS_P99, Interval

_TITLES = {
    "name": "device", "model": "board", "cpu": "CPU", "machine": "architecture", "cores": "cores",
    "isa": "instruction sets", "memory_bytes": "memory", "kernel": "kernel", "libc": "C library",
    "memory_available_bytes": "memory free", "swap_used_bytes": "swap used",
    "virtual_machine": "virtual machine", "emulated": "emulated", "power_mode": "power mode",
    "governor": "governor", "clock_mhz": "clock, MHz", "clock_max_mhz": "highest clock, MHz",
    "temperature_c": "hottest sensor, °C", "load_1min": "load before", "versions": "versions",
}  # fmt: skip

_BOUNDARIES = {
    "engine": "one run of the engine, its input ready in memory",
    "frame": "from a uint8 frame to its result: preprocessing, engine, classes",
    "throughput": "one of several runs at a time, each input ready in memory",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: what stands in a cell, as HTML, and by which number it is sorted, if by any."""

    title: str
    cell: Callable[[Row], str]
    key: Callable[[Row], float | None]


_COLUMNS = (
    _Column(
        "p50, ms",
        lambda row: _with_error(value_and_error(row.latency.p50)),
        lambda row: row.latency.p50.value,
    ),
    _Column(
        "p90",
        lambda row: like(row.latency.p90.value, row.latency.p50),
        lambda row: row.latency.p90.value,
    ),
    _Column("p99", lambda row: _p99(row), lambda row: _middle(row.latency.p99)),
    _Column("top-1, %", lambda row: _accuracy(row), lambda row: _top1(row)),
    _Column(
        "size",
        lambda row: human_size(row.profile.size_bytes),
        lambda row: row.profile.size_bytes,
    ),
    _Column("load, ms", lambda row: f"{row.profile.load_ms:.0f}", lambda row: row.profile.load_ms),
    _Column(
        "memory",
        lambda row: human_size(row.profile.peak_rss_bytes),
        lambda row: row.profile.peak_rss_bytes,
    ),
)
_RATE = _Column(
    "images/s",
    lambda row: _rate(row),
    lambda row: _middle(row.latency.images_per_s),
)
_ENERGY = _Column(
    "mJ, net",
    lambda row: _millijoules(row),
    lambda row: _net(row).get("value"),
)


def files_table(summary: Summary) -> str:
    """One row a file; a click on a title sorts by it."""
    columns = _columns(summary)
    titles = "".join(_title(title) for title in ("file", *(column.title for column in columns)))
    against = escaped(against_title(summary.rows))
    titles += f'<th scope="col" class="words">{against}</th>'
    rows = "\n".join(_file_row(row, columns) for row in summary.rows)
    return (
        f'<table class="sortable"><thead><tr>{titles}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>"
    )


def _columns(summary: Summary) -> tuple[_Column, ...]:
    first = (_RATE,) if summary.is_throughput else ()
    last = (_ENERGY,) if any(_net(row) for row in summary.rows) else ()
    return (*first, *_COLUMNS, *last)


def _title(title: str) -> str:
    return f'<th scope="col"><button type="button">{title}</button></th>'


def _file_row(row: Row, columns: Sequence[_Column]) -> str:
    profile = row.profile
    kind = profile.precision if profile.precision in ("fp32", "int8") else "other"
    name = f'<span class="swatch {kind}"></span>{escaped(row.name)}'
    cells = "".join(f"<td{sorted_by(column.key(row))}>{column.cell(row)}</td>"
                    for column in columns)  # fmt: skip
    return (
        f'<tr><th scope="row" title="{escaped(profile.file)}">{name}</th>{cells}'
        f'<td class="words">{_verdict(row)}</td></tr>'
    )


def sorted_by(key: float | None) -> str:
    """The attribute of a cell by which its column is sorted; nothing where there is no number."""
    return "" if key is None else f' data-key="{key:.9g}"'


def _middle(interval: Interval | None) -> float | None:
    return interval.value if interval else None


def _p99(row: Row) -> str:
    latency = row.latency
    if latency.p99 is None:
        told = f"{counted(latency.missing_runs, 'run')} missing of {MIN_RUNS_P99}"
        return f'<span class="quiet" title="{told}">{p99(row)}</span>'
    told = like(latency.p99.value, latency.p50)
    if math.isfinite(latency.p99.high):
        return told
    return f'<span title="these runs do not say how high it may be">{told}</span>'


def _top1(row: Row) -> float | None:
    return row.profile.accuracy.top1.value if row.profile.accuracy else None


def _rate(row: Row) -> str:
    rate = row.latency.images_per_s
    return _with_error(value_and_error(rate)) if rate else ""


def _net(row: Row) -> dict[str, float]:
    """The net energy of an image, or nothing where no sensor told it."""
    net = energy_mj(row.profile).get("net", {})
    return net if "value" in net else {}


def _millijoules(row: Row) -> str:
    net = _net(row)
    return _with_error(value_and_error(Interval(**net))) if net else ""


def _verdict(row: Row) -> str:
    if row.comparison is None:
        return ""
    if not row.comparison.differs:
        return f'<span class="quiet">{escaped(row.comparison.verdict)}</span>'
    said, _, interval = row.comparison.verdict.partition(" (")
    return f'{escaped(said)} <span class="error">({escaped(interval)}</span>'


def _with_error(text: str) -> str:
    value, _, error = text.partition(" ")
    return f'{escaped(value)} <span class="error">{escaped(error)}</span>'


def _accuracy(row: Row) -> str:
    if row.profile.accuracy:
        return _with_error(percent(row.profile.accuracy.top1))
    if row.profile.contract.random_weights:
        return '<span class="quiet">random weights</span>'
    published = published_top1(row.profile)
    if published is None:
        return '<span class="quiet">—</span>'
    source = escaped(published_source(row.profile))
    return f'<span class="quiet" title="{source}"><i>published {published:.1f}</i></span>'


def device_list(facts: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What is known of the device, why the rest is not, and what was different `after`."""
    known = []
    for key, value in facts.items():
        told, then = _fact(key, value), _fact(key, after.get(key, value))
        changed = f"; after the measurement {then}" if then != told else ""
        known.append((_TITLES.get(key, key), f"{told}{changed}" if told else ""))
    return _definitions([(title, value) for title, value in known if value])


def _fact(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if key.endswith("_bytes") and isinstance(value, int):
        return human_size(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(version)}" for name, version in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> str:
    return str(value).removeprefix(UNAVAILABLE)


def _published(summary: Summary) -> list[tuple[str, str]]:
    """Who states the accuracies that were not measured here."""
    stated = [
        f"{row.name}: {published:.1f} % ({published_source(row.profile) or 'source not named'})"
        for row in summary.rows
        if row.profile.accuracy is None and (published := published_top1(row.profile)) is not None
    ]
    return [("published, not measured here", "; ".join(stated))] if stated else []


def method_list(summary: Summary) -> str:
    """How the numbers came about, so that they can be doubted and repeated."""
    first = summary.rows[0].profile.measurement
    blocks = len(first.block_runs)
    return _definitions(
        [
            ("one run", _BOUNDARIES.get(first.boundary, first.boundary)),
            ("engine", _engine(first)),
            ("inputs", f"images in turn, another one for each run, batch {first.batch}"),
            ("order", f"{blocks} blocks; each visits every file once, in random order"),
            ("processes", "one for each file; only one runs at a time, after an untimed warm-up"),
            (
                "intervals",
                "95 %, from how the blocks differ, a steady change over them taken off (Woodruff's"
                " for percentiles, signed ranks for the paired ratios of block medians); 'faster'"
                " is said where 99 % hold and the difference is above 3 %; accuracy by Wilson",
            ),
            ("p99", f"shown from {MIN_RUNS_P99} runs on: then the largest lies above it with 99 %"),
            ("samples", "none is dropped"),
            ("energy of an image", _energy(summary)),
            *_published(summary),
            ("files", "; ".join(_identity(row) for row in summary.rows)),
        ]
    )


def _energy(summary: Summary) -> str:
    """Where it was counted, and what was taken off as idle, or why there is none."""
    said = energy_mj(summary.rows[0].profile)
    if "unavailable" in said:
        return f"unavailable: {said['unavailable']}"
    idle_w = said["idle_w"]
    rest = "" if idle_w is None else f"; net is less the {idle_w:.3g} W of the device at rest"
    return f"{', '.join(said['sources'])}{rest}"


def _engine(measured: Measurement) -> str:
    facts = dict(measured.facts)
    name = facts.pop("engine", measured.engine)
    return ", ".join([name, *(f"{key} {value}" for key, value in facts.items())])


def _identity(row: Row) -> str:
    return f"{row.name}: {row.profile.file}, sha256 {row.profile.measurement.model_sha256[:16]}"


def _definitions(items: Sequence[tuple[str, str]]) -> str:
    lines = (f"<dt>{escaped(title)}</dt><dd>{escaped(value)}</dd>" for title, value in items)
    return f"<dl>{''.join(lines)}</dl>"
