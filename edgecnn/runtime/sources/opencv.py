"""Frames through OpenCV: USB cameras, streams, files, and GStreamer where it was built with it."""

from __future__ import annotations

from typing import Any

import cv2

from edgecnn.errors import DeviceError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Pace, Wanted, check_device, without_password


class OpencvSource:
    """`cv2.VideoCapture`; frames come as RGB views of its BGR arrays."""

    def __init__(self, address: str, api: int, wanted: Wanted, *, name: str) -> None:
        self._name = without_password(name)
        self._pace = Pace() if wanted.paced else None
        self._capture: Any = cv2.VideoCapture(address, api)
        if not self._capture.isOpened():
            self._capture.release()
            raise DeviceError(
                f"{self._name}: OpenCV cannot open it",
                hint="check the address and who else uses it",
            )
        if wanted.size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.size[1])
        if wanted.fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, wanted.fps)
        # The driver's queue is where half a second gets lost.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    @property
    def fps(self) -> float | None:
        """What the driver announces."""
        announced: float = self._capture.get(cv2.CAP_PROP_FPS)
        return announced if 0 < announced < 1000 else None

    def read(self) -> Image | None:
        """The next frame, or None where nothing came: the end of a file, a camera unplugged."""
        good, frame = self._capture.read()
        if not good:
            return None
        if self._pace is not None:
            self._pace.wait_for(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3)
        bgr: Image = frame
        return bgr[:, :, ::-1]

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def open_v4l2(device: str, wanted: Wanted) -> OpencvSource:
    """A camera of Video4Linux: `/dev/video0`."""
    check_device(device)  # OpenCV would write a riddle to stderr, at each try
    return OpencvSource(device, cv2.CAP_V4L2, wanted, name=f"v4l2://{device}")


def open_url(url: str, wanted: Wanted) -> OpencvSource:
    """What FFmpeg opens: rtsp, http, a file."""
    return OpencvSource(url, cv2.CAP_FFMPEG, wanted, name=url)


def open_pipeline(pipeline: str, wanted: Wanted) -> OpencvSource:
    """A GStreamer pipeline; raises DeviceError where OpenCV was built without GStreamer."""
    if not _has_gstreamer():
        raise DeviceError(
            "this OpenCV was built without GStreamer, as those of pip are",
            hint="apt install python3-gi gstreamer1.0-plugins-base, or JetPack's own OpenCV",
        )
    drop = "false" if wanted.lossless else "true"
    whole = f"{pipeline} ! videoconvert ! {_SINK} drop={drop}"
    return OpencvSource(whole, cv2.CAP_GSTREAMER, wanted, name=pipeline)


_SINK = "video/x-raw,format=BGR ! appsink max-buffers=1 sync=false"


def _has_gstreamer() -> bool:
    lines = cv2.getBuildInformation().splitlines()
    return any("GStreamer" in line and "YES" in line for line in lines)
