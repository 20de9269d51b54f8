"""A window that shows what a camera sees, with the answers written into the picture.

It is drawn by a process of its own: OpenCV's windows hang where PyAV is loaded, too, and end the
process where they do not reach the display.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edgecnn.datasets.draw import annotated
from edgecnn.errors import DeviceError
from edgecnn.runtime.detections import Detections
from edgecnn.runtime.stream import Answer

_OPENS_S = 30.0
_CLOSES_S = 2.0


def has_display() -> bool:
    """Whether the environment names a display."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def window(title: str) -> Iterator[Window]:
    """A window while the block lasts; raises DeviceError where none can be opened."""
    if sys.platform.startswith("linux") and not has_display():
        raise _none("there is no display (DISPLAY and WAYLAND_DISPLAY are not set)")
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("screen.py")), title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        )
        shown = Window(process)
        try:
            if not shown.is_ready(_OPENS_S):
                errors.seek(0)
                raise _none(_cause(errors.read().decode(errors="replace")))
            yield shown
        finally:
            shown.close()


class Window:
    """Draws a frame whenever the last one is on the screen: a slow screen drops frames."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._pictures: BinaryIO = process.stdin  # type: ignore[assignment]
        self._dots: BinaryIO = process.stdout  # type: ignore[assignment]
        self._ready = False

    def is_ready(self, timeout_s: float = 0.0) -> bool:
        """Whether it waits for a picture."""
        if not self._ready and select.select([self._dots], [], [], timeout_s)[0]:
            self._ready = self._dots.read(1) == b"."
        return self._ready

    def show(self, answer: Answer, lines: Sequence[tuple[str, float]]) -> bool:
        """Draw a frame with names and boxes; False once the window was closed, by q or Esc too."""
        if self._process.poll() is not None:
            return False
        if not self.is_ready():
            return True
        result = answer.result
        boxes = result.boxes.tolist() if isinstance(result, Detections) else ()
        picture = annotated(answer.frame.image, lines, boxes[: len(lines)])[:, :, ::-1]
        try:
            self._pictures.write(np.array(picture.shape[:2], dtype="<u4").tobytes())
            self._write(memoryview(picture.tobytes()))
        except BrokenPipeError:
            return False
        self._ready = False
        return True

    def close(self) -> None:
        """Close it, if its owner has not done so."""
        with contextlib.suppress(BrokenPipeError):
            self._pictures.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSES_S)
        self._process.kill()
        self._process.wait()
        self._dots.close()

    def _write(self, data: memoryview) -> None:
        """All of it: an unbuffered pipe takes a part at a time."""
        while data:
            data = data[self._pictures.write(data) :]


def _none(cause: str) -> DeviceError:
    return DeviceError(
        f"no window can be opened: {cause}",
        hint="--no-window for the view in the terminal alone; or: pip install opencv-python",
    )


def _cause(said: str) -> str:
    """Why, by what the process said on stderr."""
    if "No module named 'cv2'" in said:
        return "OpenCV is not installed"
    if "not implemented" in said:
        return "this OpenCV was built without windows, as opencv-python-headless is"
    return "OpenCV does not reach the display"
