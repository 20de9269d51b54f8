"""A clip of what a camera saw, with the answers written into the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.datasets.draw import annotated
from edgecnn.errors import DeviceError, FileError
from edgecnn.files import atomic_path
from edgecnn.runtime.detections import Detections
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.stream import Answer

_TICKS = 90_000  # a second, as is usual for video
_RATE = 30  # what players are told; frames keep their own times


@contextmanager
def recording(target: Path) -> Iterator[Recorder]:
    """A recorder that writes `target` (.mp4) at the end, whole or not at all.

    Raises DeviceError where PyAV is not installed, FileError where it cannot be written or is
    there already.
    """
    try:
        import av
    except ImportError as error:
        raise DeviceError(
            "PyAV is needed to record and not installed", hint="pip install 'edgecnn[camera]'"
        ) from error
    if target.suffix.lower() != ".mp4":
        raise FileError(f"{target}: clips are written as .mp4", hint="name it CLIP.mp4")
    if target.exists():
        raise FileError(f"{target} is already there", hint="name another: --record OUT.mp4")
    with atomic_path(target) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        recorder = Recorder(av, container)
        yield recorder
        recorder.finish()


class Recorder:
    """Encodes frames at the times at which they were captured; made by `recording`."""

    def __init__(self, av: Any, container: Any) -> None:
        self._av = av
        self._container = container
        self._stream: Any = None
        self._started_ns = 0
        self._last_tick = -1

    def add(self, answer: Answer, lines: Sequence[tuple[str, float]]) -> None:
        """One frame with its names and shares, and with boxes where there are any."""
        result = answer.result
        boxes = result.boxes.tolist() if isinstance(result, Detections) else ()
        pixels = annotated(answer.frame.image, lines, boxes[: len(lines)])
        height, width = (side - side % 2 for side in pixels.shape[:2])  # colour is halved
        if self._stream is None:
            self._started_ns = answer.frame.captured_ns
            self._stream = self._container.add_stream(self._codec(), rate=_RATE)
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, _TICKS)
        frame = self._av.VideoFrame.from_ndarray(self._fitting(pixels), format="rgb24")
        tick = round((answer.frame.captured_ns - self._started_ns) * _TICKS / 1e9)
        frame.pts = self._last_tick = max(tick, self._last_tick + 1)
        frame.time_base = Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds; raises FileError where there was no frame."""
        if self._stream is None:
            raise FileError("no frame to record", hint="check the source")
        self._container.mux(self._stream.encode())

    def _fitting(self, pixels: Image) -> Image:
        """The part of it that fits into the first frame's size, which a clip keeps."""
        whole = np.zeros((self._stream.height, self._stream.width, 3), dtype=np.uint8)
        part = pixels[: whole.shape[0], : whole.shape[1]]
        whole[: part.shape[0], : part.shape[1]] = part
        return whole

    def _codec(self) -> str:
        return "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
