"""Where a fleet is, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgecnn.devices.fleet import Fleet, Tell, open_fleet


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where the scheduler is; `plain` allows tcp that is not encrypted to another machine.

    `kind` is the resource that workers must have; None where any will do.
    """

    address: str
    plain: bool = False
    kind: str | None = None


@contextmanager
def fleet_of(scheduler: Scheduler, *, tell: Tell | None = None) -> Iterator[Fleet]:
    """The fleet, with workers of the scheduler's kind; raises as `open_fleet` and `check` do."""
    with open_fleet(scheduler.address, plain=scheduler.plain, tell=tell) as fleet:
        fleet.check([scheduler.kind])
        yield fleet
