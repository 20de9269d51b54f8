"""Frames through PyAV, which brings FFmpeg: files, RTSP, MJPEG over HTTP, USB cameras."""

from __future__ import annotations

import time
from typing import Any

import av
import numpy as np

from edgecnn.errors import DeviceError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Wanted

_TIMEOUT_S = (10.0, 10.0)  # to open, to read: a camera that says nothing for so long is gone
_PROMPT = {"fflags": "nobuffer", "flags": "low_delay"}


class PyavSource:
    """The video of one container; raises DeviceError where FFmpeg cannot open or decode it."""

    def __init__(
        self, url: str, *, options: dict[str, str], kind: str | None = None, paced: bool = False
    ) -> None:
        self._url = url
        self._paced = paced
        self._started_s: float | None = None
        try:
            self._container: Any = av.open(url, format=kind, options=options, timeout=_TIMEOUT_S)
            self._stream: Any = self._container.streams.video[0]
        except Exception as error:
            raise _lost(url, error) from error
        if not options:  # of live frames, threads would keep some back
            self._stream.thread_type = "AUTO"
        self._frames = self._container.decode(self._stream)

    @property
    def fps(self) -> float | None:
        """What the container announces."""
        rate = self._stream.average_rate
        return float(rate) if rate else None

    def read(self) -> Image | None:
        """The next frame; None at the end of a file."""
        try:
            frame = next(self._frames, None)
            if frame is None:
                return None
            pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        except Exception as error:
            raise _lost(self._url, error) from error
        if self._paced and frame.time is not None:
            self._wait_for(float(frame.time))
        return pixels

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _wait_for(self, time_s: float) -> None:
        """Until the frame would be shown."""
        now_s = time.monotonic()
        if self._started_s is None:
            self._started_s = now_s - time_s
        time.sleep(max(0.0, self._started_s + time_s - now_s))


def open_v4l2(device: str, wanted: Wanted) -> PyavSource:
    """A camera of Video4Linux: `/dev/video0`."""
    options = {}
    if wanted.size is not None:
        options["video_size"] = f"{wanted.size[0]}x{wanted.size[1]}"
    if wanted.fps is not None:
        options["framerate"] = f"{wanted.fps:g}"
    return PyavSource(device, options=options, kind="v4l2")


def open_live(url: str, wanted: Wanted) -> PyavSource:
    """A stream over the network; RTSP by TCP, where no packet is lost halfway through a picture."""
    del wanted  # the other side decides
    tcp = {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    return PyavSource(url, options={**_PROMPT, **tcp})


def open_file(path: str, wanted: Wanted) -> PyavSource:
    """A file, as fast as it can be decoded, or at its own pace."""
    return PyavSource(path, options={}, paced=wanted.paced)


def _lost(url: str, error: Exception) -> DeviceError:
    cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DeviceError(f"{url}: {cause}", hint="check the address, and that it is a video")
