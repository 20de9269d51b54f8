"""How a step tells what it does, without knowing to whom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Progress = Callable[[int, int], None]


class Narrator(Protocol):
    """Hears what a step has done and how far it is."""

    def line(self, label: str, text: str) -> None:
        """One thing that is done, as a short label and a sentence."""

    def warn(self, text: str) -> None:
        """Something the user should know although the work goes on."""

    def progress(self, label: str, *, unit: str = "") -> AbstractContextManager[Progress]:
        """A piece of long work; the callback takes (done, total)."""


class Silent:
    """Hears everything and says nothing."""

    def line(self, label: str, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def progress(self, label: str, *, unit: str = "") -> AbstractContextManager[Progress]:
        """Show nothing."""
        return nullcontext(_ignore)


def _ignore(done: int, total: int) -> None:
    del done, total
