"""Frames out of a GStreamer pipeline, through PyGObject."""

from __future__ import annotations

from typing import Any

import gi
import numpy as np

from edgecnn.errors import DeviceError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Wanted

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402  its version must be said first

_SINK = "video/x-raw,format=RGB ! appsink name=edgecnn max-buffers=1 sync=false"
_TIMEOUT_S = 10


class GstreamerSource:
    """A pipeline that ends in RGB pixels; raises DeviceError where it cannot be started."""

    fps: float | None = None

    def __init__(self, pipeline: str, wanted: Wanted) -> None:
        Gst.init(None)
        self._name = pipeline
        drop = "false" if wanted.lossless else "true"
        whole = f"{pipeline} ! videoconvert ! {_SINK} drop={drop}"
        try:
            self._pipeline: Any = Gst.parse_launch(whole)
        except Exception as error:
            raise self._lost(str(error)) from error
        self._sink: Any = self._pipeline.get_by_name("edgecnn")
        if self._pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            cause = self._error() or "it cannot be started"
            self.close()
            raise self._lost(cause)

    def read(self) -> Image | None:
        """The next frame; None at the end of the stream."""
        sample = self._sink.emit("try-pull-sample", _TIMEOUT_S * Gst.SECOND)
        if sample is None:
            if self._sink.get_property("eos") and not (cause := self._error()):
                return None
            raise self._lost(cause or f"no frame for {_TIMEOUT_S} s")
        shape = sample.get_caps().get_structure(0)
        height, width = shape.get_value("height"), shape.get_value("width")
        buffer = sample.get_buffer()
        data: bytes = buffer.extract_dup(0, buffer.get_size())
        stride = len(data) // height  # rows are filled up to four bytes
        rows = np.frombuffer(data, np.uint8, height * stride).reshape(height, stride)
        return rows[:, : width * 3].reshape(height, width, 3)

    def close(self) -> None:
        """Stop the pipeline."""
        self._pipeline.set_state(Gst.State.NULL)

    def _error(self) -> str:
        """What the pipeline complained of."""
        message = self._pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
        return "" if message is None else str(message.parse_error()[0].message)

    def _lost(self, cause: str) -> DeviceError:
        return DeviceError(
            f"{self._name[:80]}: {cause}", hint="try it with: gst-launch-1.0 PIPELINE ! fakesink"
        )


def open_pipeline(pipeline: str, wanted: Wanted) -> GstreamerSource:
    """A pipeline without its sink."""
    return GstreamerSource(pipeline, wanted)


def open_csi(index: str, wanted: Wanted) -> GstreamerSource:
    """A camera of a Jetson, through its image processor."""
    width, height = wanted.size or (1280, 720)
    rate = f",framerate={round(wanted.fps)}/1" if wanted.fps else ""
    return GstreamerSource(
        f"nvarguscamerasrc sensor-id={int(index)}"
        f" ! video/x-raw(memory:NVMM),width={width},height={height}{rate},format=NV12"
        " ! nvvidconv ! video/x-raw,format=BGRx",
        wanted,
    )
