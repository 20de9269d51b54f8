"""What a device is to the rest of the house."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edgecnn.devices.process import Process


class Device(Protocol):
    """A machine that models run on.

    It runs the verbs of `python -m edgecnn.runtime`: which interpreter that is, where it lies and
    how its words get there is the device's own affair.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    def run(self, verb: Sequence[str], *, timeout_s: float) -> str:
        """Run a verb to its end and return what it printed; raises DeviceError."""

    def start(self, verb: Sequence[str]) -> Process:
        """Start a verb to talk to; raises DeviceError."""

    def push(self, local: Path) -> str:
        """Bring a file to the device, where it is not there yet; its path there."""

    def pull(self, remote: str, local: Path) -> None:
        """Bring a file back; raises DeviceError."""
