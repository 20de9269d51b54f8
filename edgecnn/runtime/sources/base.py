"""What every source of frames does."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecnn.errors import DeviceError, UsageError
from edgecnn.runtime.preprocess import Image


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a camera: width and height in pixels, frames a second; None: its own.

    `paced` plays a file at its own speed, `lossless` lets a pipeline wait for its reader. Raises
    UsageError for sizes and rates that no camera has.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    paced: bool = False
    lossless: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and not (len(self.size) == 2 and min(self.size) >= 1):
            raise UsageError(f"frames of {self.size}", hint="size=(1280, 720): width and height")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise UsageError(f"{self.fps} frames a second", hint="fps=30")


class Source(Protocol):
    """An opened source."""

    @property
    def fps(self) -> float | None:
        """Frames a second as the source announces them, if it does."""

    def read(self) -> Image | None:
        """The next frame, waited for; None at the end. Raises DeviceError or DataError.

        uint8 (H, W, 3) RGB; it may be a view of a BGR frame.
        """

    def close(self) -> None:
        """Give the device back."""


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens a source, again where it was lost.

    `live` sources go on by themselves, whether anybody looks or not, and come back when they were
    lost; `endless` ones are lost when nothing comes any more, others are over.
    """

    name: str
    open: Callable[[], Source]
    live: bool
    endless: bool = False


def check_device(device: str) -> None:
    """Raise DeviceError for a device file that is not there, or that we may not read."""
    path = Path(device)
    if not path.exists():
        raise DeviceError(
            f"v4l2://{device}: no such device", hint="see what is there: ls /dev/video*"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise DeviceError(
            f"v4l2://{device}: this user may not use it",
            hint="sudo usermod -aG video $USER, then log in again",
        )


class Pace:
    """Frames of a file at the times at which they would be shown."""

    def __init__(self) -> None:
        self._started_s: float | None = None

    def wait_for(self, time_s: float) -> None:
        """Until the frame of that time is due; the first one is due at once."""
        now_s = time.monotonic()
        if self._started_s is None:
            self._started_s = now_s - time_s
        time.sleep(max(0.0, self._started_s + time_s - now_s))


def without_password(address: str) -> str:
    """The address as messages and files may show it: `rtsp://user:***@camera/live`."""
    return re.sub(r"(://[^/@:]*):[^/]*@", r"\1:***@", address)
