"""From the camera back to calibration: a small, diverse set of what it really sees."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from edgecnn.datasets.diverse import Diverse
from edgecnn.datasets.images import write_png
from edgecnn.errors import FileError
from edgecnn.files import write_error
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.runtime.camera import Camera

_LOOKS_PER_S = 4  # a camera shows the same thing 30 times a second


@dataclass(frozen=True, slots=True)
class Captured:
    """How many frames were looked at, and how many of them are kept in the folder."""

    looked: int
    kept: int


def capture(
    source: str, folder: Path, *, seconds: float, limit: int, narrator: Narrator | None = None
) -> Captured:
    """Keep different frames of a camera as PNG files in a folder of their own.

    Ends after that time, at the end of the source, or at Ctrl-C; what is kept until then stays.
    Raises FileError where the folder holds something already or cannot be written, and what
    `Camera` raises.
    """
    _check_empty(folder)
    narrator = narrator or Silent()
    diverse, looked = Diverse(limit), 0
    with (
        Camera(source) as camera,
        narrator.progress("capture", unit="s") as progress,
        contextlib.suppress(KeyboardInterrupt),
    ):
        _make(folder)
        started_s = time.monotonic()
        while (passed_s := time.monotonic() - started_s) < seconds:
            frame = camera.read(seconds - passed_s)
            if frame is None:
                break
            looked += 1
            kept = diverse.offer(frame.image)
            if kept is not None:
                write_png(folder / f"{kept.place:04d}.png", frame.image)
            progress(int(passed_s), int(seconds))
            if camera.live:
                time.sleep(1 / _LOOKS_PER_S)
    return Captured(looked, len(diverse))


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder}: holds something already", hint="name a new folder: -o FOLDER")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
