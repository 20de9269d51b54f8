"""The newest frame, whatever the source does: end, stall, break, vanish and come back."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgecnn.datasets.natural import natural_images
from edgecnn.errors import DataError, DeviceError, EdgecnnError, UsageError
from edgecnn.runtime.camera import Camera
from edgecnn.runtime.frames import captured_ns
from edgecnn.runtime.handover import Handover
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.sources.base import Wanted
from edgecnn.runtime.sources.find import find_source, is_camera


def numbered(count: int) -> Iterator[Image]:
    for number in range(count):
        yield np.full((4, 6, 3), number % 256, dtype=np.uint8)


def ticking(period_s: float) -> Iterator[Image]:
    """A camera that goes on whether anybody looks or not."""
    for frame in numbered(1_000_000):
        yield frame
        time.sleep(period_s)


def test_an_iterable_is_seen_whole_and_in_order() -> None:
    with Camera(numbered(50)) as camera:
        seen = [(int(frame.image[0, 0, 0]), frame.sequence, frame.dropped) for frame in camera]
    assert seen == [(number, number, 0) for number in range(50)]
    assert (camera.captured, camera.dropped, camera.late) == (50, 0, 0)


def test_a_live_source_gives_its_newest_frame() -> None:
    with Camera(lambda: ticking(0.005)) as camera:
        first = camera.read()
        time.sleep(0.2)
        later = camera.read()
        assert first is not None
        assert later is not None
        assert later.age_ms < 100
        assert later.sequence > first.sequence + 3
        assert later.dropped == later.sequence - first.sequence - 1 + first.dropped


def test_an_iterable_may_drop_frames_where_that_is_wanted() -> None:
    taken = threading.Event()

    def frames() -> Iterator[Image]:
        yield from numbered(10)
        taken.set()

    with Camera(frames(), lossless=False) as camera:
        taken.wait()
        assert [frame.sequence for frame in camera] == [9]
        assert camera.dropped == 9


def test_frames_know_when_they_were_captured_and_so_do_their_parts() -> None:
    before_ns = time.monotonic_ns()
    with Camera(numbered(1)) as camera:
        (frame,) = camera
    assert before_ns <= frame.captured_ns <= time.monotonic_ns()
    for part in (frame.image[1:3], frame.image.copy(), frame.image[:, :, ::-1]):
        assert captured_ns(part) == frame.captured_ns


def test_a_camera_that_is_unplugged_comes_back_a_hundred_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgecnn.runtime.camera._FIRST_WAIT_S", 0.001)
    threads, files = threading.active_count(), len([*Path("/proc/self/fd").iterdir()])
    lives = itertools.count(1)

    def plugged() -> Iterator[Image]:
        life = next(lives)
        if life % 3 == 0:
            raise OSError(19, "No such device")
        yield np.full((2, 2, 3), life % 256, dtype=np.uint8)
        raise OSError(19, "No such device")

    with Camera(plugged, lossless=True) as camera:
        seen = [camera.read() for _ in range(100)]
        assert camera.reconnects >= 99
    assert [frame.sequence for frame in seen if frame is not None] == list(range(100))
    assert threading.active_count() == threads
    assert len([*Path("/proc/self/fd").iterdir()]) == files


def test_it_waits_longer_each_time_for_a_camera_that_stays_away() -> None:
    tries: list[float] = []

    def gone() -> Iterator[Image]:
        tries.append(time.monotonic())
        if len(tries) > 1:
            raise OSError(19, "No such device")
        yield np.zeros((2, 2, 3), dtype=np.uint8)
        raise OSError(19, "No such device")

    with Camera(gone) as camera:
        while len(tries) < 4:
            time.sleep(0.01)
        assert camera.read() is not None
        assert camera.read(0.01) is None
    waits = np.diff(tries)
    assert (waits[1:] > 1.5 * waits[:-1]).all()


def test_a_source_that_cannot_be_opened_says_why_at_once() -> None:
    def missing() -> Iterator[Image]:
        raise OSError(2, "No such device")

    with pytest.raises(DeviceError, match="frames: No such device"):
        Camera(missing)


def test_a_driver_that_hangs_does_not_hang_close() -> None:
    stuck, released = threading.Event(), threading.Event()

    def hanging() -> Iterator[Image]:
        yield np.zeros((2, 2, 3), dtype=np.uint8)
        stuck.set()
        released.wait()

    camera = Camera(hanging)
    assert camera.read() is not None
    stuck.wait()
    started = time.monotonic()
    camera.close()
    assert time.monotonic() - started < 5
    assert camera.read() is None
    released.set()


def test_a_driver_that_hangs_while_it_opens_is_given_up() -> None:
    released = threading.Event()

    def hanging() -> list[Image]:
        released.wait()
        return []

    with pytest.raises(DeviceError, match=r"no answer within 0\.05 s"):
        Camera(hanging, timeout_s=0.05)
    released.set()


@pytest.mark.parametrize(
    "frame",
    [
        None,
        "frame",
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[1, 2], [3]],
    ],
)
def test_what_is_no_image_ends_in_our_error(frame: Any) -> None:
    with Camera([np.zeros((4, 4, 3), np.uint8), frame]) as camera:
        assert camera.read() is not None
        if frame is None:
            assert camera.read() is None, "None is an iterator's end"
            return
        with pytest.raises(DataError, match="is no image"):
            camera.read()


def test_an_error_of_the_source_itself_reaches_the_caller() -> None:
    def broken() -> Iterator[Image]:
        yield np.zeros((4, 4, 3), np.uint8)
        raise RuntimeError("driver")

    with Camera(broken()) as camera:
        assert camera.read() is not None
        with pytest.raises(RuntimeError, match="driver"):
            camera.read()


def test_late_frames_are_counted_by_the_rhythm_that_was_asked_for() -> None:
    def stumbling() -> Iterator[Image]:
        for frame in numbered(6):
            time.sleep(0.3 if frame[0, 0, 0] == 3 else 0)
            yield frame

    with Camera(stumbling, fps=10) as camera:
        while camera.read() is not None:
            pass
    assert camera.late >= 1
    with Camera(stumbling) as camera:
        assert len(list(camera)) > 0
    assert camera.late == 0


# Sources


def write_clip(path: Path, *, count: int, fps: int = 25) -> Path:
    """A clip whose frames are told apart by their brightness."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            pixels = np.full((48, 64, 3), 20 + 10 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


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


def test_a_network_camera_that_hangs_up_is_called_again() -> None:
    pytest.importorskip("av")

    class Mjpeg(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(12):
                jpeg = io.BytesIO()
                Pillow.new("RGB", (64, 48), (10 * number,) * 3).save(jpeg, "JPEG")
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.tell()}"
                self.wfile.write(f"{head}\r\n\r\n".encode() + jpeg.getvalue() + b"\r\n")
                time.sleep(0.01)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        with Camera(address, backend="pyav") as camera:
            while camera.reconnects < 2:
                frame = camera.read()
                assert frame is not None
                assert frame.image.shape == (48, 64, 3)
                assert np.ptp(frame.image) <= 3
        server.shutdown()


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


def test_a_device_that_is_not_there_is_named() -> None:
    pytest.importorskip("av")
    with pytest.raises(DeviceError, match="/dev/video99"):
        Camera("v4l2:///dev/video99", backend="pyav")


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


# The place between two threads


def test_what_was_put_before_the_end_can_still_be_taken() -> None:
    place = Handover[int]()
    assert place.put(1) is None
    assert place.put(2) == 1
    place.end(ValueError("over"))
    assert place.put(3) == 3
    assert not place.over
    assert place.take() == 2
    assert place.over
    with pytest.raises(ValueError, match="over"):
        place.take()


def test_nothing_is_lost_between_threads_where_that_is_asked() -> None:
    place = Handover[int](lossless=True)

    def give() -> None:
        for number in range(1, 500):
            place.put(number)
        place.end()

    thread = threading.Thread(target=give)
    thread.start()
    assert list(iter(place.take, None)) == list(range(1, 500))
    thread.join()


def test_a_giver_that_waits_is_released_by_the_end() -> None:
    place = Handover[int](lossless=True)
    place.put(1)
    thread = threading.Thread(target=place.put, args=(2,))
    thread.start()
    place.clear()
    thread.join()
    assert place.take() is None


def test_natural_images_serve_as_a_camera() -> None:
    with Camera(natural_images(3, height=32, width=48, seed=0)) as camera:
        assert [frame.image.shape for frame in camera] == [(32, 48, 3)] * 3
