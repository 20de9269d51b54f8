"""From an address to frames: files, folders, networks, pipelines, and what is missing for them."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgecnn.errors import DataError, DeviceError, EdgecnnError, UsageError
from edgecnn.runtime.camera import Camera
from edgecnn.runtime.sources.base import Wanted
from edgecnn.runtime.sources.find import find_source, is_camera
from tests.clips import write_clip


def test_a_clip_is_seen_whole_and_in_order(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a clip.mp4", count=20)
    for address in (clip, str(clip), f"file://{clip}".replace(" ", "%20")):
        with Camera(address) as camera:
            brightness = [float(frame.image.mean()) for frame in camera]
        np.testing.assert_allclose(brightness, 20 + 10 * np.arange(20), atol=4)


def test_a_clip_may_play_at_its_own_pace(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=10, fps=20)
    started = time.monotonic()
    with Camera(clip, lossless=False) as camera:
        assert camera.read() is not None
        while camera.read() is not None:
            pass
    assert time.monotonic() - started > 0.4


def test_a_folder_is_seen_in_natural_order_and_upright(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Pillow.new("RGB", (8, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (8, 4), (99, 0, 0)).save(tmp_path / "99.jpg", exif=exif, quality=100)
    (tmp_path / "notes.txt").write_text("not an image")
    with Camera(str(tmp_path)) as camera:
        seen = [(int(frame.image[0, 0, 0]), frame.image.shape) for frame in camera]
    assert [first for first, _ in seen[:3]] == [1, 2, 10]
    assert seen[3][1] == (8, 4, 3)


def test_an_image_in_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.jpg"), Camera(tmp_path) as camera:
        camera.read()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        Camera(tmp_path / "empty")


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    with pytest.raises(DeviceError, match=r"notes\.mp4"):
        Camera(path)


def test_a_clip_that_is_damaged_halfway_says_where(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", count=20)
    whole = path.read_bytes()
    start = whole.index(b"mdat") + 4
    end = whole.index(b"moov")
    hole = (start + end) // 2
    path.write_bytes(whole[:hole] + bytes(end - hole) + whole[end:])
    with Camera(path, backend="pyav") as camera, pytest.raises(DeviceError) as caught:
        list(camera)
    assert f"damaged after {camera.captured} frames" in str(caught.value)
    assert 0 < camera.captured < 20


@contextmanager
def network_camera(*, count: int, damaged: int | None = None) -> Iterator[str]:
    """The address of MJPEG over HTTP that hangs up after `count` frames, one of them no JPEG."""

    class Mjpeg(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(count):
                picture = io.BytesIO()
                Pillow.new("RGB", (64, 48), (10 * number % 250,) * 3).save(picture, "JPEG")
                data = b"no picture" * 40 if number == damaged else picture.getvalue()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                self.wfile.write(f"{head}\r\n\r\n".encode() + data + b"\r\n")
                time.sleep(0.01)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_network_camera_that_hangs_up_is_called_again() -> None:
    pytest.importorskip("av")
    with network_camera(count=12) as address, Camera(address, backend="pyav") as camera:
        while camera.reconnects < 2:
            frame = camera.read()
            assert frame is not None
            assert frame.image.shape == (48, 64, 3)
            assert np.ptp(frame.image) <= 3


@pytest.mark.parametrize(("backend", "library"), [("pyav", "av"), ("opencv", "cv2")])
def test_a_camera_that_speaks_rtsp_is_seen_and_called_again(backend: str, library: str) -> None:
    pytest.importorskip("av", reason="needs PyAV, which the camera is made of")
    pytest.importorskip(library, reason=f"needs {library}")
    from tests.rtsp import BRIGHTER, rtsp_camera

    with (
        rtsp_camera(count=60) as address,
        Camera(address, backend=backend, lossless=True) as camera,
    ):
        frames = list(itertools.islice(camera, 8))
        while camera.reconnects < 1:
            assert camera.read() is not None
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert max(np.ptp(frame.image) for frame in frames) <= 3, "all of each is there"
    np.testing.assert_allclose(np.diff([frame.image.mean() for frame in frames]), BRIGHTER, atol=1)


def test_a_frame_that_was_damaged_on_the_way_is_left_out() -> None:
    pytest.importorskip("av")
    with (
        network_camera(count=30, damaged=12) as address,
        Camera(address, backend="pyav", lossless=True) as camera,
    ):
        shades = [int(frame.image[0, 0, 0]) for frame in itertools.islice(camera, 20)]
        assert camera.reconnects == 0
    steps = np.diff(shades) / 10
    assert sorted(np.round(steps)) == [1.0] * 18 + [2.0], "one is missing, none is wrong"


def test_no_message_shows_a_password() -> None:
    for address in ("rtsp://me:secret@127.0.0.1:1/live", "gopher://me:secret@camera"):
        with pytest.raises(EdgecnnError) as caught:
            Camera(address)
        assert "secret" not in str(caught.value)
        assert "me:***@" in str(caught.value)


@pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning")  # of gi
def test_a_pipeline_of_gstreamer_gives_its_pixels() -> None:
    pytest.importorskip("gi", reason="needs PyGObject")
    # Rows of 70 pixels are filled up to four bytes.
    red = "videotestsrc pattern=red num-buffers=5 ! video/x-raw,width=70,height=50"
    with Camera(red, lossless=True) as camera:
        frames = list(camera)
    assert len(frames) == 5
    assert frames[0].image.shape == (50, 70, 3)
    assert (frames[4].image == (255, 0, 0)).all()
    for pipeline in ("nosuchelement ! identity", "filesrc location=/nowhere ! decodebin"):
        with pytest.raises(DeviceError):
            list(Camera(pipeline))


def test_opencv_plays_a_clip_at_its_own_pace_too(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="needs OpenCV")
    clip = write_clip(tmp_path / "clip.mp4", count=10, fps=20)
    started = time.monotonic()
    with Camera(clip, backend="opencv", lossless=False) as camera:
        while camera.read() is not None:
            pass
    assert time.monotonic() - started > 0.4


def test_opencv_gives_the_same_frames(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="needs OpenCV")
    clip = write_clip(tmp_path / "clip.mp4", count=5)
    with Camera(clip, backend="opencv") as one, Camera(clip, backend="pyav") as other:
        for ours, theirs in zip(one, other, strict=True):
            assert np.abs(ours.image.astype(int) - theirs.image).max() <= 2


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("nowhere.mp4", DataError),
        ("gopher://camera", UsageError),
        ("rtsp://[::1/live", UsageError),
        ("csi://front", UsageError),
        ("v4l2://", UsageError),
        ("", DataError),
        ("file:///nowhere.mp4", DataError),
    ],
)
def test_addresses_that_name_nothing_are_refused(
    address: str, error: type[EdgecnnError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        Camera(address) if address else find_source("x.avi", Wanted())
    assert caught.value.hint


@pytest.mark.parametrize("source", [0, None, np.zeros((8, 8, 3), np.uint8), np.zeros(8, np.uint8)])
def test_what_gives_no_frames_is_refused(source: Any) -> None:
    """0 is what OpenCV calls the first camera; an image would be taken for its rows."""
    with pytest.raises(UsageError, match="no source of frames") as caught:
        Camera(source)
    assert "v4l2:///dev/video0" in caught.value.hint


@pytest.mark.parametrize(
    "wanted",
    [{"size": (0, 720)}, {"size": (1280,)}, {"fps": 0}, {"fps": -30}, {"fps": float("nan")}],
)
def test_what_no_camera_has_is_not_asked_for(wanted: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"frames"):
        Camera([np.zeros((8, 8, 3), np.uint8)], **wanted)


def test_a_missing_library_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("picamera2", "gi", "cv2", "av"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
        for file in ("picamera", "gstreamer", "opencv", "pyav"):
            monkeypatch.delitem(
                __import__("sys").modules, f"edgecnn.runtime.sources.{file}", raising=False
            )
    for address, fix in (
        ("csi://0", "python3-picamera2"),
        ("rtsp://10.0.0.2/live", "edgecnn[camera]"),
        ("v4l2:///dev/video0", "opencv-python-headless"),
        ("videotestsrc ! videoconvert", "python3-gi"),
    ):
        with pytest.raises(DeviceError, match="not installed") as caught:
            Camera(address)
        assert fix in caught.value.hint


def test_a_backend_can_be_chosen(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=2)
    with Camera(clip, backend="pyav") as camera:
        assert camera.read() is not None
    with pytest.raises(UsageError, match="unknown backend 'vlc'"):
        Camera(clip, backend="vlc")
    with pytest.raises(UsageError, match="picamera2 does not open"):
        Camera(clip, backend="picamera2")


@pytest.mark.parametrize(("backend", "library"), [("pyav", "av"), ("opencv", "cv2")])
def test_a_device_that_is_not_there_is_named(
    backend: str, library: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library, reason=f"needs {library}")
    with pytest.raises(DeviceError, match="/dev/video99: no such device"):
        Camera("v4l2:///dev/video99", backend=backend)
    assert capfd.readouterr().err == "", "the library said something of its own"


def test_what_is_a_camera_and_what_are_images(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "cat.jpg").touch()
    assert is_camera(str(tmp_path / "clip.mp4"))
    assert is_camera("v4l2:///dev/video0")
    assert not is_camera(str(tmp_path / "cat.jpg"))
    assert not is_camera(str(tmp_path))
    assert not is_camera("nowhere.jpg")
    assert not is_camera("without_a_suffix")
    assert is_camera("/dev/video0")
    with pytest.raises(UsageError, match="gopher"):
        is_camera("gopher://camera")
