"""The cameras of a Raspberry Pi, through picamera2."""

from __future__ import annotations

from typing import Any

from picamera2 import Picamera2

from edgecnn.errors import DeviceError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Wanted

_SIZE = (1280, 720)


class PicameraSource:
    """picamera2 with few buffers; raises DeviceError where there is no such camera."""

    def __init__(self, index: int, wanted: Wanted) -> None:
        self.fps = wanted.fps
        try:
            self._camera: Any = Picamera2(index)
            # picamera2 names formats as libcamera does: RGB888 lies in memory as B, G, R.
            main = {"size": wanted.size or _SIZE, "format": "RGB888"}
            controls = {} if wanted.fps is None else {"FrameRate": wanted.fps}
            self._camera.configure(
                self._camera.create_video_configuration(
                    main=main, controls=controls, buffer_count=3, queue=False
                )
            )
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise DeviceError(
                f"csi://{index}: {error}", hint="rpicam-hello --list-cameras shows what is there"
            ) from error

    def read(self) -> Image | None:
        """The next frame."""
        bgr: Image = self._camera.capture_array("main")
        return bgr[:, :, ::-1]

    def close(self) -> None:
        """Stop the camera."""
        self._camera.close()


def open_csi(index: str, wanted: Wanted) -> PicameraSource:
    """The camera of that number."""
    return PicameraSource(int(index), wanted)
