"""The examples run as they stand, each of them short; without its library one is skipped."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from edgecnn.runtime import Camera, load
from tests.profiling.toys import color_picture, write_color_net

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    return write_color_net(tmp_path / "net.onnx")


def example(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)]
    paths = (str(FOLDER.parent), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_tones_to_train_with_are_written(tmp_path: Path) -> None:
    done = run("tones", tmp_path / "tones")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "240 sounds written\n"
    assert len(list((tmp_path / "tones").glob("*/*.wav"))) == 240


def test_the_doorbell_rings_once_for_each_visit(net: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    shown = [0] * 3 + [5] * 10 + [0] * 30 + [5] * 10
    for number, color in enumerate(shown):
        PIL.Image.fromarray(color_picture(color)).save(frames / f"{number}.png")
    done = run("doorbell", net, frames, "--want", "color 5", "--sure", "0.25")
    assert done.returncode == 0, done.stderr
    *rings, visits = done.stdout.splitlines()
    assert visits == "2 visits"
    assert [int(ring.split()[-1]) for ring in rings] == [4, 44]
    wrong = run("doorbell", net, tmp_path / "nowhere", "--want", "color 5")
    assert wrong.returncode == 1
    assert "no such file or folder" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_the_page_shows_the_camera(net: Path) -> None:
    pytest.importorskip("flask", reason="needs Flask")

    def ticking() -> Iterator[Any]:
        while True:
            yield color_picture(3, side=64)

    with load(net, threads=1) as model, Camera(ticking) as camera:
        client = example("flask_page").page(model, camera).test_client()
        assert "/video" in client.get("/").text
        video = client.get("/video", buffered=False)
        assert video.mimetype == "multipart/x-mixed-replace"
        part = next(iter(video.response))
        assert part.startswith(b"--frame")
        assert b"\xff\xd8" in part
        video.close()


def test_the_pipeline_is_answered_or_its_library_is_named(net: Path) -> None:
    done = run("gstreamer_pipeline", net, "videotestsrc num-buffers=5 ! video/x-raw,width=64")
    if importlib.util.find_spec("gi") is None:
        assert done.returncode == 1
        assert "python3-gi" in done.stderr
        pytest.skip("needs PyGObject and GStreamer")
    assert done.returncode == 0, done.stderr
    assert "StreamStats" in done.stdout


def test_the_node_publishes_what_is_on_a_message(net: Path) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    import rclpy

    rclpy.init()
    with load(net, threads=1) as model:
        node = example("ros_node").Classifier(model)
        node._answer(message(color_picture(5), "rgb8"))
        node.destroy_node()
    rclpy.shutdown()


def message(image: Any, encoding: str) -> Any:
    """What a camera of ROS 2 sends, with rows of four bytes more than they need."""
    height, width = image.shape[:2]
    rows = np.zeros((height, 3 * width + 4), dtype=np.uint8)
    rows[:, : 3 * width] = image.reshape(height, -1)
    return types.SimpleNamespace(
        height=height, width=width, step=rows.shape[1], encoding=encoding, data=rows.tobytes()
    )
