"""A report in the form that a file's name asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from edgecnn.errors import UsageError
from edgecnn.files import write_text
from edgecnn.profiling.report.html import html_page
from edgecnn.profiling.report.json import profile_document
from edgecnn.profiling.report.picture import PICTURES as PICTURES
from edgecnn.profiling.report.picture import write_plot as write_plot
from edgecnn.profiling.report.plain import csv_table, layers_csv, markdown
from edgecnn.profiling.report.summary import Summary
from edgecnn.profiling.report.trace import chrome_trace


def _json(summary: Summary) -> str:
    return json.dumps(profile_document(summary), allow_nan=False) + "\n"


FORMS: dict[str, Callable[[Summary], str]] = {
    ".html": html_page,
    ".htm": html_page,
    ".json": _json,
    ".md": markdown,
    ".csv": csv_table,
}


def write_report(summary: Summary, target: Path) -> None:
    """Write a report atomically as HTML, JSON, Markdown or CSV, by the suffix of `target`.

    With CSV the layers, where they were timed, come as FILE.layers.csv beside it. Raises UsageError
    for another suffix, FileError, EdgecnnError where Altair is missing.
    """
    form = FORMS.get(target.suffix.lower())
    if form is None:
        raise UsageError(
            f"{target}: a report is {', '.join(sorted(FORMS))}, not {target.suffix or 'that'}",
            hint="name it FILE.html or FILE.json",
        )
    write_text(target, form(summary))
    if target.suffix.lower() == ".csv" and (layers := layers_csv(summary)):
        write_text(layers_beside(target), layers)


def layers_beside(target: Path) -> Path:
    """Where the layers of a CSV report go: its lines are files, and layers are others."""
    return target.with_suffix(f".layers{target.suffix}")


def write_trace(summary: Summary, target: Path) -> None:
    """Write the timeline of the layers atomically, for Perfetto; raises UsageError, FileError."""
    write_text(target, chrome_trace(summary))
