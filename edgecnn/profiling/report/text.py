"""A report as plain text: at most 100 columns, no colour needed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.counted import counted
from edgecnn.files import human_size
from edgecnn.profiling.records import Evaluation
from edgecnn.profiling.report.layer_words import layer_sentences
from edgecnn.profiling.report.summary import Row, Summary, published_top1
from edgecnn.profiling.report.words import drops, fact, like, percent, printable, value_and_error

WIDTH = 100

_GAP = "  "
_SHORTEST_NAME = 12
_VNNI = {
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "asimddp": "dot product",
    "i8mm": "I8MM",
}


def device_line(facts: Mapping[str, Any]) -> str:
    """The device in one line: what it is, and the state that matters for its numbers."""
    board = fact(facts.get("model"))
    cpu = fact(facts.get("cpu")) or str(facts.get("machine", "unknown CPU"))
    integer = [name for flag, name in _VNNI.items() if flag in facts.get("isa", ())]
    parts = [board, cpu] if board and board not in cpu else [cpu]
    cores = facts.get("cores")
    parts += [counted(cores, "core")] if isinstance(cores, int) else []
    parts += integer
    if mode := fact(facts.get("power_mode")):
        parts.append(f"{mode} mode")
    governor = str(facts.get("governor", "unavailable"))
    state = [f"governor {governor}"]
    if clock := fact(facts.get("clock_mhz")):
        state.append(f"{float(clock):.0f} MHz")
    if temperature := fact(facts.get("temperature_c")):
        state.append(f"{float(temperature):.0f} °C")
    return f"{', '.join(parts)}; {', '.join(state)}"


def profile_table(summary: Summary) -> str:
    """The table of a profile, the sentences that follow from it, and what to beware of."""
    table = _table([head(summary), *(cells(row) for row in summary.rows)], left=(0, 7))
    notes = [*summary.sentences, *layer_sentences(summary), *summary.warnings]
    if all(row.profile.state == "stable" for row in summary.rows):
        notes.append("State: stable.")
    return "\n".join([table, "", *(_wrapped(note) for note in notes)])


def evaluation_table(evaluations: Sequence[Evaluation]) -> str:
    """Accuracy of each file with its interval, and what changed against another."""
    elsewhere = any(each.device != "local" for each in evaluations)
    head = ["", "top-1 %", "top-5 %", "images", "on" if elsewhere else ""]
    rows = [
        [printable(each.file), percent(each.top1), percent(each.top5) if each.top5 else "-",
         f"{each.n:,}", printable(each.device) if elsewhere else ""]
        for each in evaluations
    ]  # fmt: skip
    changes = "\n".join(filter(None, map(_paired, evaluations)))
    return f"{_table([head, *rows], left=(0, 4))}\n\n{changes}".rstrip()


def _paired(evaluation: Evaluation) -> str:
    paired = evaluation.paired
    if paired is None:
        return ""
    both = f"{printable(evaluation.file)} against {printable(paired.against)}"
    return _wrapped(
        f"{both}: top-1 {drops(paired.drop)};"
        f" {paired.right_to_wrong} right to wrong, {paired.wrong_to_right} wrong to right,"
        f" p = {paired.mcnemar_p:.2g}; they agree on {paired.agreement * 100:.1f} %."
    )


def against_title(rows: Sequence[Row]) -> str:
    """What the column of comparisons is called: what files are compared with."""
    against = {row.against for row in rows if row.against}
    if not against:
        return ""
    return "against FP32" if _is_twin(rows) else "against the first file"


def _is_twin(rows: Sequence[Row]) -> bool:
    """Whether files are compared with the FP32 file of their own model."""
    models = {row.name: row.model for row in rows}
    return all(models[row.against] == row.model for row in rows if row.against)


def head(summary: Summary) -> list[str]:
    """The titles of `cells`; images a second have one where they were asked for."""
    rate = "images/s" if summary.is_throughput else ""
    against = against_title(summary.rows)
    return ["", rate, "p50 ms", "p90", "p99", "top-1 %", "file", against]


def cells(row: Row) -> list[str]:
    """One file in words, a cell for each title."""
    latency = row.latency
    return [
        row.name,
        value_and_error(latency.images_per_s) if latency.images_per_s else "",
        value_and_error(latency.p50),
        like(latency.p90.value, latency.p50),
        p99(row),
        _accuracy(row),
        human_size(row.profile.size_bytes),
        row.comparison.verdict.removesuffix(" can be told") if row.comparison else "",
    ]


def p99(row: Row) -> str:
    """The p99, or how many more runs it needs."""
    latency = row.latency
    if latency.p99 is None:
        return f"{latency.missing_runs} more"
    return like(latency.p99.value, latency.p50)


def _accuracy(row: Row) -> str:
    if row.profile.accuracy:
        return percent(row.profile.accuracy.top1)
    if row.profile.contract.random_weights:
        return "random weights"
    published = published_top1(row.profile)
    return "—" if published is None else f"published {published:.1f}"


def _table(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> str:
    """Columns as wide as they need to be, the names in the first as wide as there is room.

    Numbers stand to the right, the columns `left` to the left.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    others = [width for width in widths[1:] if width]
    widths[0] = min(widths[0], max(_SHORTEST_NAME, WIDTH - sum(others) - len(_GAP) * len(others)))
    lines = []
    for name, *numbers in rows:
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(
                zip((_shortened(name, widths[0]), *numbers), widths, strict=True)
            )
            if width
        ]
        lines.append(_GAP.join(cells).rstrip())
    return "\n".join(lines)


def _shortened(name: str, width: int) -> str:
    """A name that fits, without its middle: the ends tell files apart."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
