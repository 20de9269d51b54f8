"""Where a fleet is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where the scheduler is; `plain` allows tcp that is not encrypted to another machine.

    `kind` is the resource that workers must have; None where any will do.
    """

    address: str
    plain: bool = False
    kind: str | None = None
