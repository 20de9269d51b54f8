"""How the command line speaks: lines on stdout, progress and warnings on stderr, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from edgecnn.files import human_size
from edgecnn.pipeline.narrator import Progress

_LABEL_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Speaker:
    """Tells people what happens; with `--json` only the result is told, as one JSON object."""

    quiet: bool = False
    as_json: bool = False

    def line(self, label: str, text: str) -> None:
        """One thing that is done."""
        self.print(f"{label:<{_LABEL_WIDTH}} {text}")

    def print(self, text: str) -> None:
        """Text for people, on stdout."""
        if not (self.quiet or self.as_json):
            click.echo(printable(text))

    def warn(self, text: str) -> None:
        """Something to know; on stderr, whatever else is silenced."""
        click.echo(printable(f"warning  {text}"), err=True)

    def next(self, command: str) -> None:
        """What people usually do after this."""
        self.line("next", command)

    def result(self, document: Mapping[str, Any]) -> None:
        """The result for machines: one JSON object on stdout and nothing else there."""
        if self.as_json:
            click.echo(json.dumps(document, allow_nan=False))

    @contextmanager
    def progress(self, label: str, *, unit: str = "") -> Iterator[Progress]:
        """A progress bar on a terminal, nothing elsewhere."""
        if self.quiet or not sys.stderr.isatty():
            yield _ignore
            return
        with _bar(label, unit) as update:
            yield update


@contextmanager
def _bar(label: str, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(f"{label:<{_LABEL_WIDTH}}", total=None, count="", done=0)

        def update(done: int, total: int, what: str = "") -> None:
            if done < bars.tasks[0].fields["done"]:  # other work, with a pace of its own
                bars.reset(task)
            # As a share: what is left is told from its pace, though the total be planned anew.
            bars.update(
                task,
                completed=done / total if total else 0.0,
                total=1.0,
                description=f"{printable(what) or label:<{_LABEL_WIDTH}}",
                count=_count(done, total, unit),
                done=done,
            )

        yield update


def _count(done: int, total: int, unit: str) -> str:
    if unit == "B":
        return f"{human_size(done)}/{human_size(total)}"
    return f"{done}/{total}"


def printable(text: str) -> str:
    """Text without what could steer the terminal: names in files come from strangers."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def _ignore(done: int, total: int, what: str = "") -> None:
    del done, total, what
