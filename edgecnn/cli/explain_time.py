"""What `edgecnn explain FILE` says about time."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.cli.speak import Speaker
from edgecnn.counted import counted

if TYPE_CHECKING:
    from edgecnn.pipeline.explain_time import Finding, Row, TimeExplanation, TimeOptions

_NAME_WIDTH = 44
_KIND_WIDTH = 24
_COLUMNS = 100
_TEXT = _COLUMNS - 13  # what is left beside a label
_NAMED = 3  # layers of a finding
_BUSY = 0.8  # of a profiled run: below it, others took the CPU


def tell_time(speaker: Speaker, file: Path, *, options: TimeOptions, top: int) -> None:
    """Time the layers of a file; show the dearest and what can be done about them."""
    from edgecnn.pipeline.explain_time import explain_time

    explanation = explain_time(file, options=options)
    speaker.print(_head(explanation))
    for row in sorted(explanation.rows, key=lambda row: -row.timed.time_ms)[:top]:
        speaker.print(_row(row))
    _tell_rest(speaker, explanation, top)
    for finding in explanation.findings:
        _tell_finding(speaker, finding)
    speaker.result(explanation.document())


def _head(explanation: TimeExplanation) -> str:
    times = explanation.times
    threads = counted(explanation.threads, "thread")
    return "\n".join(
        [
            f"{explanation.file} on {explanation.engine}, {threads}: {times.run_ms:.2f} ms a run",
            f"under the profiler {times.profiled_ms:.2f} ms ({times.overhead:+.0%}), of which the "
            f"{counted(len(explanation.rows), 'layer takes', 'layers take')} {times.layers_ms:.2f}",
            "",
            f"{'layer':<{_NAME_WIDTH}} {'runs as':<{_KIND_WIDTH}}      ms  share",
        ]
    )


def _row(row: Row) -> str:
    layer = row.timed.layer
    kind = _short(f"{layer.kind} {layer.precision}".strip(), _KIND_WIDTH)
    name = _short(row.name, _NAME_WIDTH)
    numbers = f"{row.timed.time_ms:7.3f} {row.share:5.1%}"
    mark = f"  {row.sort}" if row.sort else ""
    return f"{name:<{_NAME_WIDTH}} {kind:<{_KIND_WIDTH}} {numbers}{mark}"


def _tell_rest(speaker: Speaker, explanation: TimeExplanation, top: int) -> None:
    times, hidden = explanation.times, len(explanation.rows) - top
    if hidden > 0:
        ordered = sorted((row.timed.time_ms for row in explanation.rows), reverse=True)
        rest_ms = sum(ordered[top:])
        more = counted(hidden, "more layer takes", "more layers take")
        speaker.print(f"{more} {rest_ms:.3f} ms: --top {len(explanation.rows)}")
    if times.layers_ms < _BUSY * times.profiled_ms:
        speaker.warn(
            "the layers take far less than the runs that they are a part of: other programs had "
            "the CPU, or the time passes between the layers"
        )


def _tell_finding(speaker: Speaker, finding: Finding) -> None:
    count = len(finding.layers)
    layers = counted(count, "layer")
    names = ", ".join((*finding.layers[:_NAMED], *["…"][: count > _NAMED]))
    text = f"{layers}, {finding.time_ms:.3f} ms: {finding.cause} ({names}); {finding.remedy}"
    for index, line in enumerate(textwrap.wrap(text, _TEXT, break_on_hyphens=False)):
        speaker.line("" if index else finding.sort, line)


def _short(name: str, width: int) -> str:
    """The end of a long name is what tells layers apart."""
    return name if len(name) <= width else f"…{name[1 - width :]}"
