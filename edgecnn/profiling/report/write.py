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
from edgecnn.profiling.report.plain import csv_table, markdown
from edgecnn.profiling.report.summary import Summary


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

    Raises UsageError for another suffix, FileError, EdgecnnError where Altair is missing.
    """
    form = FORMS.get(target.suffix.lower())
    if form is None:
        raise UsageError(
            f"{target}: a report is {', '.join(sorted(FORMS))}, not {target.suffix or 'that'}",
            hint="name it FILE.html or FILE.json",
        )
    write_text(target, form(summary))
