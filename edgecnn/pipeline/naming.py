"""Errors from inside a graph say which file it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecnn.errors import DataError, ModelError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put `path` before what a graph's rooms complain of, unless they named it themselves."""
    try:
        yield
    except (ModelError, DataError) as error:
        if path.name in str(error):
            raise
        raise type(error)(f"{path}: {error}", hint=error.hint) from error
