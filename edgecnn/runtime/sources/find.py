"""From an address to what opens it.

v4l2:///dev/video0      a USB camera                     OpenCV or PyAV
csi://0                 Raspberry Pi, Jetson             picamera2, GStreamer
rtsp://… http://…       a network camera, MJPEG          PyAV or OpenCV
file:///clip.mp4, path  a video, an image, a folder      PyAV or OpenCV; Pillow
a ! b ! c               a GStreamer pipeline             PyGObject, or an OpenCV built with it
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import DataError, DeviceError, UsageError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Opener, Source, Wanted, without_password
from edgecnn.runtime.sources.iterator import IteratorSource

Address = str | Path | Iterable[Image] | Callable[[], Iterable[Image]]

BACKENDS = ("opencv", "pyav", "picamera2", "gstreamer")

# Kind of address -> (backend, function that opens it), the first that is installed is taken.
_WAYS = {
    "v4l2": (("opencv", "open_v4l2"), ("pyav", "open_v4l2")),
    "csi": (("picamera2", "open_csi"), ("gstreamer", "open_csi")),
    "live": (("pyav", "open_live"), ("opencv", "open_url")),
    "video": (("pyav", "open_file"), ("opencv", "open_url")),
    "pipeline": (("gstreamer", "open_pipeline"), ("opencv", "open_pipeline")),
}
_SCHEMES = {
    "v4l2": "v4l2", "csi": "csi", "rtsp": "live", "rtsps": "live", "http": "live", "https": "live",
    "file": "file", "": "file",
}  # fmt: skip
# Backend -> its file, the module that it needs, how that is installed.
_LIBRARIES = {
    "opencv": ("opencv", "cv2", "pip install opencv-python-headless, or apt's python3-opencv"),
    "pyav": ("pyav", "av", "pip install 'edgecnn[camera]'"),
    "picamera2": (
        "picamera",
        "picamera2",
        "apt install python3-picamera2 (of a Jetson python3-gi), and a venv that sees it",
    ),
    "gstreamer": ("gstreamer", "gi", "apt install python3-gi gstreamer1.0-plugins-good"),
}
_IMAGES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"))
_VIDEOS = frozenset(
    (".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".mjpeg", ".h264")
)
_V4L2 = "/dev/video"
_ADDRESSES = (
    "v4l2:///dev/video0, csi://0, rtsp://…, http://…, a file, a folder, 'a ! b' for GStreamer"
)


def find_source(address: Address, wanted: Wanted, *, backend: str = "auto") -> Opener:
    """What opens this address; nothing is opened yet.

    Raises UsageError for an address or backend that is unknown, DeviceError where the library that
    it needs is not installed, DataError where there is no such file.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise UsageError(f"unknown backend {backend!r}", hint=f"auto or {', '.join(BACKENDS)}")
    if not isinstance(address, (str, Path)):
        _check_frames(address)
        again = callable(address)
        return Opener("frames", partial(IteratorSource, address, "frames"), live=again)
    kind, target = _parsed(str(address))
    if kind == "pictures":
        return Opener(target, partial(_open_pictures, Path(target)), live=False)
    opened = _way(kind, str(address), backend)
    return Opener(
        name=without_password(str(address)),
        open=partial(opened, target, wanted),
        live=kind != "video",
        endless=kind not in ("video", "pipeline"),
    )


def _check_frames(source: object) -> None:
    """Refuse what gives no frames; of one image, an iterable would be its rows."""
    is_one = isinstance(source, np.ndarray) and source.ndim < 4 and source.dtype != object
    if is_one or not (callable(source) or isinstance(source, Iterable)):
        what = "one image" if is_one else repr(source)[:40]
        raise UsageError(
            f"{what} is no source of frames", hint=f"an iterable of images, or: {_ADDRESSES}"
        )


def is_camera(address: str) -> bool:
    """Whether a text names a camera, a stream or a video rather than images.

    Raises UsageError where it is an address of no known kind.
    """
    if " ! " in address or ("://" in address and not address.startswith("file:")):
        _parsed(address)
        return True
    return address.startswith(_V4L2) or Path(address).suffix.lower() in _VIDEOS


def _parsed(address: str) -> tuple[str, str]:
    """The kind of an address, and what its backend is given."""
    if " ! " in address:
        return "pipeline", address
    if address.startswith(_V4L2):
        return "v4l2", address
    from urllib.parse import SplitResult, unquote, urlsplit

    try:
        parts = urlsplit(address if "://" in address else "")
    except ValueError:  # an IPv6 address that does not end
        parts = SplitResult("?", "", "", "", "")
    kind = _SCHEMES.get(parts.scheme)
    if kind is None:
        raise UsageError(f"unknown address {without_password(address)!r}", hint=_ADDRESSES)
    if kind == "live":
        return kind, address
    if kind == "file":
        return _file(Path(unquote(parts.path) if parts.scheme else address))
    target = parts.netloc + parts.path
    if not target or (kind == "csi" and not target.isdecimal()):
        raise UsageError(f"{address!r} names no camera", hint=_ADDRESSES)
    return kind, target


def _file(path: Path) -> tuple[str, str]:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", hint=_ADDRESSES)
    is_picture = path.is_dir() or path.suffix.lower() in _IMAGES
    return "pictures" if is_picture else "video", str(path)


def _way(kind: str, address: str, backend: str) -> Callable[[str, Wanted], Source]:
    """The function that opens this kind, of the first backend that is installed."""
    shown = without_password(address)
    ways = [way for way in _WAYS[kind] if backend in ("auto", way[0])]
    if not ways:
        known = ", ".join(name for name, _ in _WAYS[kind])
        raise UsageError(f"{backend} does not open {shown}", hint=f"one of: {known}")
    for name, function in ways:
        file, library, _ = _LIBRARIES[name]
        try:
            module: Any = importlib.import_module(f"edgecnn.runtime.sources.{file}")
        except (ImportError, ValueError) as error:
            if getattr(error, "name", library) not in (library, f"{library}.repository", None):
                raise
            continue
        opened: Callable[[str, Wanted], Source] = getattr(module, function)
        return opened
    missing = " or ".join(_LIBRARIES[name][1] for name, _ in ways)
    raise DeviceError(
        f"{shown}: {missing} is needed and not installed", hint=_LIBRARIES[ways[0][0]][2]
    )


def _open_pictures(path: Path) -> Source:
    try:
        from edgecnn.runtime.sources.pictures import pictures
    except ImportError as error:
        raise DeviceError(
            f"{path}: Pillow is needed and not installed", hint="pip install pillow"
        ) from error
    return IteratorSource(pictures(path), str(path))
