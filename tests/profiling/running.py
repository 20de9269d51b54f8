"""What the tests of measuring share: inputs, quick options, and a device to look into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.devices import LocalDevice
from edgecnn.devices.process import Process
from edgecnn.profiling.run import Options
from tests.profiling.toys import color_picture

IMAGES = [color_picture(index) for index in range(3)]
QUICK = Options(threads=1, precision=1.0, time_limit_s=1)


class WatchedDevice(LocalDevice):
    """This machine, with an eye on the processes it starts."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    def start(self, verb: Sequence[str]) -> Process:
        self.started.append(super().start(verb))
        return self.started[-1]

    @property
    def left_behind(self) -> list[int]:
        return [each.pid for each in self.started if Path(f"/proc/{each.pid}").exists()]
