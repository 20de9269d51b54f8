"""What every source of frames does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgecnn.runtime.preprocess import Image


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a camera: width and height in pixels, frames a second; None: its own.

    `paced` plays a file at its own speed, `lossless` lets a pipeline wait for its reader.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    paced: bool = False
    lossless: bool = False


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
