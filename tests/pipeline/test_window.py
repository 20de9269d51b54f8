"""A window where there is a display, and what is said where there is none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.errors import DeviceError
from edgecnn.pipeline.window import window
from edgecnn.runtime import Camera, load
from tests.profiling.toys import color_picture, write_color_net


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen that nobody sees."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb")
    reads, writes = os.pipe()
    command = ["Xvfb", "-displayfd", str(writes), "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writes], stderr=subprocess.DEVNULL) as server:
        os.close(writes)
        with os.fdopen(reads) as said:
            monkeypatch.setenv("DISPLAY", f":{said.readline().strip()}")
        yield
        server.terminate()


def test_without_a_display_it_is_said_why_and_what_else_there_is() -> None:
    told = "DISPLAY and WAYLAND_DISPLAY are not set"
    with pytest.raises(DeviceError, match=told) as caught, window("edgecnn"):
        pytest.fail("there is none")
    assert "the view in the terminal alone" in str(caught.value.hint)


def test_a_display_that_does_not_answer_ends_in_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":7391")
    with pytest.raises(DeviceError, match=r"no window can be opened: .*OpenCV"), window("edgecnn"):
        pytest.fail("there is none")


def test_answers_are_shown_until_the_window_is_closed(display: None, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="needs OpenCV")
    pytest.importorskip("av")  # in whose process OpenCV's windows hang
    net = write_color_net(tmp_path / "net.onnx")
    pictures = [color_picture(index, side=400) for index in range(3)]
    with (
        load(net, threads=1) as model,
        Camera(pictures) as camera,
        model.stream(camera) as stream,
    ):
        answer = next(iter(stream))
        before = children()
        with window("edgecnn test") as shown:
            for _ in range(3):
                assert shown.show(answer, [("color 0", 0.9)])
                assert shown.is_ready(30)
            (process,) = children() - before
            os.kill(process, signal.SIGTERM)
            while shown.show(answer, [("color 0", 0.9)]):
                time.sleep(0.01)
    assert children() == before, "no process is left"


def children() -> set[int]:
    """The processes that this one has started and not waited for."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return {int(word) for word in found.split()}
