"""The newest frame, whatever the source does: end, stall, break, vanish and come back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.datasets.natural import natural_images
from edgecnn.errors import DataError, DeviceError
from edgecnn.runtime.camera import Camera
from edgecnn.runtime.frames import captured_ns
from edgecnn.runtime.preprocess import Image


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
    monkeypatch.setattr("edgecnn.runtime.camera.FIRST_WAIT_S", 0.001)
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


def test_natural_images_serve_as_a_camera() -> None:
    with Camera(natural_images(3, height=32, width=48, seed=0)) as camera:
        assert [frame.image.shape for frame in camera] == [(32, 48, 3)] * 3
