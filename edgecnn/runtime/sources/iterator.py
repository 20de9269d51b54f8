"""Frames from any Python iterable, or from a function that makes one each time it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from edgecnn.errors import DeviceError
from edgecnn.runtime.preprocess import Image, checked

_END: Any = object()


class IteratorSource:
    """Frames from an iterable; OSError out of it means that the device is gone."""

    fps: float | None = None

    def __init__(self, frames: Iterable[Image] | Callable[[], Iterable[Image]], name: str) -> None:
        self._name = name
        with_errors = _Told(name)
        with with_errors:
            self._frames = iter(frames() if callable(frames) else frames)

    def read(self) -> Image | None:
        """The next frame; None when there are no more. Raises DataError for what is none."""
        with _Told(self._name):
            frame = next(self._frames, _END)
        return None if frame is _END else checked(frame)

    def close(self) -> None:
        """A generator is closed with its source."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()


class _Told:
    """What goes wrong with a device, in our words."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError):
            raise DeviceError(
                f"{self._name}: {error.strerror or error}", hint="check the camera and its cable"
            ) from error
