"""Frames through PyAV, which brings FFmpeg: files, RTSP, MJPEG over HTTP, USB cameras."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from edgecnn.errors import DeviceError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Pace, Wanted, check_device, without_password

_TIMEOUT_S = (10.0, 10.0)  # to open, to read: a camera that says nothing for so long is gone
_PROMPT = {"fflags": "nobuffer", "flags": "low_delay"}


class PyavSource:
    """The video of one container; raises DeviceError where FFmpeg cannot open or decode it."""

    def __init__(
        self,
        url: str,
        *,
        live: bool,
        options: dict[str, str] | None = None,
        kind: str | None = None,
        paced: bool = False,
    ) -> None:
        self._url = url
        self._live = live
        self._read = 0
        self._pace = Pace() if paced else None
        try:
            self._container: Any = av.open(
                url, format=kind, options=options or {}, timeout=_TIMEOUT_S
            )
            self._stream: Any = self._container.streams.video[0]
        except Exception as error:
            raise _lost(url, error) from error
        if live:
            self._frames = _undamaged(self._container, self._stream)
        else:  # of live frames, threads would keep some back
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
            pixels: Image = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        except Exception as error:
            raise (_lost if self._live else self._damaged)(self._url, error) from error
        self._read += 1
        if self._pace is not None and frame.time is not None:
            self._pace.wait_for(float(frame.time))
        return pixels

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _damaged(self, path: str, error: Exception) -> DeviceError:
        return DeviceError(
            f"{path}: damaged after {self._read} frames ({_cause(error)})",
            hint="copy or record it again",
        )


def _undamaged(container: Any, stream: Any) -> Iterator[Any]:
    """The frames of a live stream, without those that were damaged on the way."""
    for packet in container.demux(stream):
        with contextlib.suppress(av.error.InvalidDataError):
            yield from packet.decode()


def open_v4l2(device: str, wanted: Wanted) -> PyavSource:
    """A camera of Video4Linux: `/dev/video0`."""
    check_device(device)
    options = {}
    if wanted.size is not None:
        options["video_size"] = f"{wanted.size[0]}x{wanted.size[1]}"
    if wanted.fps is not None:
        options["framerate"] = f"{wanted.fps:g}"
    return PyavSource(device, live=True, options=options, kind="v4l2")


def open_live(url: str, wanted: Wanted) -> PyavSource:
    """A stream over the network; RTSP by TCP, where no packet is lost halfway through a picture."""
    del wanted  # the other side decides
    tcp = {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    return PyavSource(url, live=True, options={**_PROMPT, **tcp})


def open_file(path: str, wanted: Wanted) -> PyavSource:
    """A file, as fast as it can be decoded, or at its own pace."""
    return PyavSource(path, live=False, paced=wanted.paced)


def _lost(url: str, error: Exception) -> DeviceError:
    return DeviceError(
        f"{without_password(url)}: {_cause(error)}",
        hint="check the address, and that it is a video",
    )


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
