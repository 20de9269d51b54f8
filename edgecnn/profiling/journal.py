"""What is measured is kept block by block, so that an interrupted profile can go on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from edgecnn.devices.worker import Visit, parse_visit
from edgecnn.files import write_error

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


class Journal:
    """A file with one line for each block: the visits of all files, in the files' order.

    `files` is how many there are. A damaged file counts as none, a torn last line is left out.
    """

    def __init__(self, path: Path, *, files: int) -> None:
        self._path = path
        self._files = files

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._path

    def blocks(self) -> list[list[Visit]]:
        """The blocks that an earlier run has measured, in order."""
        found: list[list[Visit]] = []
        with contextlib.suppress(*_UNREADABLE):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                visits = [parse_visit(each) for each in json.loads(line)]
                if len(visits) != self._files:
                    break
                found.append(visits)
        return found

    def keep(self, block: Sequence[Visit]) -> None:
        """Add a block that is measured; raises FileError."""
        line = json.dumps([dataclasses.asdict(visit) for visit in block], allow_nan=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")
        except OSError as error:
            raise write_error(self._path, error) from error

    def remove(self) -> None:
        """All is measured: nothing to go on with."""
        self._path.unlink(missing_ok=True)
