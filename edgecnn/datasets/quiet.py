"""Silence for Pillow's warnings, also where several threads read images."""

from __future__ import annotations

import threading
import warnings
from types import TracebackType


class Quiet:
    """A context in which Pillow's warnings are ignored; threads may share one instance.

    `warnings.catch_warnings` alone saves and restores the whole program's filters: of two threads
    that overlap, the later one would restore what the earlier one had set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        """The first one in sets the filter."""
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The last one out restores the filters."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(kind, error, trace)
