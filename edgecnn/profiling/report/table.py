"""The parts of the page that are lists and tables; every word in them is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.files import human_size
from edgecnn.profiling.records import Measurement
from edgecnn.profiling.report.summary import Row, Summary, published_top1
from edgecnn.profiling.report.text import against_title
from edgecnn.profiling.report.words import UNAVAILABLE, escaped, like, percent, value_and_error
from edgecnn.profiling.statistics import MIN_RUNS_P99

_TITLES = {
    "name": "device", "model": "board", "cpu": "CPU", "machine": "architecture", "cores": "cores",
    "isa": "instruction sets", "memory_bytes": "memory", "kernel": "kernel",
    "virtual_machine": "virtual machine", "emulated": "emulated", "power_mode": "power mode",
    "governor": "governor", "clock_mhz": "clock, MHz", "clock_max_mhz": "highest clock, MHz",
    "temperature_c": "hottest sensor, °C", "load_1min": "load before", "versions": "versions",
}  # fmt: skip

_BOUNDARIES = {
    "engine": "one run of the engine, its input ready in memory",
    "frame": "from a uint8 frame to its result: preprocessing, engine, classes",
}


def files_table(summary: Summary) -> str:
    """One row a file."""
    head = ["file", "p50, ms", "p90", "p99", "top-1, %", "size", "load, ms", "memory"]
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    titles += f'<th scope="col" class="words">{escaped(against_title(summary.rows))}</th>'
    rows = "\n".join(_file_row(row) for row in summary.rows)
    return f"<table><thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"


def _file_row(row: Row) -> str:
    profile, latency = row.profile, row.latency
    cells = [
        _with_error(value_and_error(latency.p50)),
        like(latency.p90.value, latency.p50),
        like(latency.p99.value, latency.p50) if latency.p99 else _missing(latency.missing_runs),
        _accuracy(row),
        human_size(profile.size_bytes),
        f"{profile.load_ms:.0f}",
        human_size(profile.peak_rss_bytes),
    ]
    kind = profile.precision if profile.precision in ("fp32", "int8") else "other"
    name = f'<span class="swatch {kind}"></span>{escaped(row.name)}'
    return (
        f'<tr><th scope="row" title="{escaped(profile.file)}">{name}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f'<td class="words">{_verdict(row)}</td></tr>'
    )


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


def _missing(runs: int) -> str:
    return f'<span class="quiet" title="{runs} of {MIN_RUNS_P99} runs are missing">—</span>'


def _accuracy(row: Row) -> str:
    if row.profile.accuracy:
        return _with_error(percent(row.profile.accuracy.top1))
    if row.profile.contract.random_weights:
        return '<span class="quiet">random weights</span>'
    published = published_top1(row.profile)
    if published is None:
        return '<span class="quiet">—</span>'
    return f'<span class="quiet"><i>published {published:.1f}</i></span>'


def device_list(facts: Mapping[str, Any]) -> str:
    """What is known of the device, and why the rest is not."""
    known = [(_TITLES.get(key, key), _fact(key, value)) for key, value in facts.items()]
    return _definitions([(title, value) for title, value in known if value])


def _fact(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if key == "memory_bytes" and isinstance(value, int):
        return human_size(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(version)}" for name, version in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> str:
    return str(value).removeprefix(UNAVAILABLE)


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
                "95 %, from how the blocks differ (Woodruff's for percentiles, Student's for the"
                " paired ratios of block medians); 'faster' is said where 99 % hold and the"
                " difference is above 3 %; accuracy by Wilson",
            ),
            ("p99", f"shown from {MIN_RUNS_P99} runs on: then the largest lies above it with 99 %"),
            ("samples", "none is dropped"),
            ("files", "; ".join(_identity(row) for row in summary.rows)),
        ]
    )


def _engine(measured: Measurement) -> str:
    facts = dict(measured.facts)
    name = facts.pop("engine", measured.engine)
    return ", ".join([name, *(f"{key} {value}" for key, value in facts.items())])


def _identity(row: Row) -> str:
    return f"{row.name}: {row.profile.file}, sha256 {row.profile.measurement.model_sha256[:16]}"


def _definitions(items: Sequence[tuple[str, str]]) -> str:
    lines = (f"<dt>{escaped(title)}</dt><dd>{escaped(value)}</dd>" for title, value in items)
    return f"<dl>{''.join(lines)}</dl>"
