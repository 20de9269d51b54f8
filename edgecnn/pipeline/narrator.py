"""How a step tells what it does, without knowing to whom."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """Hears how far a piece of work is; `what` it is at, where that changes."""

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """So much is done of all."""


class Narrator(Protocol):
    """Hears what a step has done and how far it is."""

    def line(self, label: str, text: str) -> None:
        """One thing that is done, as a short label and a sentence."""

    def warn(self, text: str) -> None:
        """Something the user should know although the work goes on."""

    def progress(self, label: str, *, unit: str = "") -> AbstractContextManager[Progress]:
        """A piece of long work; `Progress` hears how far it is."""


class Silent:
    """Hears everything and says nothing."""

    def line(self, label: str, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def progress(self, label: str, *, unit: str = "") -> AbstractContextManager[Progress]:
        """Show nothing."""
        return nullcontext(_ignore)


def _ignore(done: int, total: int, what: str = "") -> None:
    del done, total, what
