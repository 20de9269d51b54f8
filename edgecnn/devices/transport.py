"""What brings commands to another machine, whatever it is."""

from __future__ import annotations

from typing import Protocol

from edgecnn.devices.process import Process


class Transport(Protocol):
    """A shell on another machine."""

    @property
    def name(self) -> str:
        """What people call the machine."""

    def start(self, command: str) -> Process:
        """Start a command in its POSIX shell.

        Where the machine is lost, reading from the command raises DeviceError.
        """

    def close(self) -> None:
        """End what still runs there."""
