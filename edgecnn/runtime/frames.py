"""Frames of a camera: pixels that know when they were captured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    _Array = NDArray[np.uint8]
else:
    _Array = np.ndarray


class CameraImage(_Array):
    """A uint8 image (H, W, 3) RGB with the time of its capture; views and copies keep it.

    `captured_ns` is on the clock of `time.monotonic_ns`. OpenCV and the like take it as the array
    that it is.
    """

    captured_ns: int | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.captured_ns = getattr(source, "captured_ns", None)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame: its pixels, when it was captured, its number among all that were captured.

    `dropped` counts the frames that were captured and never seen by anyone before this one.
    """

    image: CameraImage
    captured_ns: int
    sequence: int
    dropped: int

    @property
    def age_ms(self) -> float:
        """Milliseconds since the capture."""
        return (time.monotonic_ns() - self.captured_ns) / 1e6


def captured(image: NDArray[np.uint8], captured_ns: int) -> CameraImage:
    """The same pixels, with the time of their capture."""
    stamped = image.view(CameraImage)
    stamped.captured_ns = captured_ns
    return stamped


def captured_ns(image: NDArray[np.uint8]) -> int | None:
    """When an image was captured, or None where nobody knows."""
    found: int | None = getattr(image, "captured_ns", None)
    return found
