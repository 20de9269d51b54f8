"""classify and profile on a clip: told to people, to scripts, into a clip; the same answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.cli.live import Live, described, watch
from edgecnn.cli.speak import Speaker
from edgecnn.datasets.draw import annotated
from edgecnn.runtime import load
from edgecnn.runtime.preprocess import Image
from tests.cli.conftest import Edgecnn
from tests.profiling.toys import COLORS, write_color_net
from tests.runtime.test_model import segmented

av = pytest.importorskip("av")

SHOWN = (4, 4, 2, 2, 2, 1)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_color_net(tmp_path / "net.onnx")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25), options={"qscale": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for color in SHOWN:
            pixels = np.full((48, 64, 3), COLORS[color] * 255, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_clip_is_told_where_its_answer_changes(edgecnn: Edgecnn, net: Path, clip: Path) -> None:
    said = edgecnn("classify", net, clip)
    assert said.code == 0, said.err
    *changes, summary = said.out.splitlines()
    assert [line.split()[0] for line in changes] == ["0", "2", "5"]
    assert [line.split()[3:5] for line in changes] == [["color", str(n)] for n in (4, 2, 1)]
    assert "frame to label" in summary
    assert "dropped 0" in summary


def test_scripts_get_a_line_for_each_frame(edgecnn: Edgecnn, net: Path, clip: Path) -> None:
    said = edgecnn("classify", net, clip, "--json")
    *answers, last = (json.loads(line) for line in said.out.splitlines())
    assert [answer["labels"][0]["index"] for answer in answers] == list(SHOWN)
    assert [answer["sequence"] for answer in answers] == list(range(len(SHOWN)))
    assert last["summary"]["answered"] == len(SHOWN)
    with load(net, threads=1) as model, av.open(str(clip)) as container:
        offline = [
            model.classify(frame.to_ndarray(format="rgb24"), top=1)[0].score
            for frame in container.decode(video=0)
        ]
    assert [answer["labels"][0]["score"] for answer in answers] == offline


def test_a_recording_shows_what_was_seen_with_its_names(
    edgecnn: Edgecnn, net: Path, clip: Path
) -> None:
    said = edgecnn("classify", net, clip, "--record", "out.mp4", "--top", "1")
    assert said.code == 0, said.err
    assert "wrote        out.mp4" in said.out
    with av.open("out.mp4") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == len(SHOWN)
    for color, frame in zip(SHOWN, frames, strict=True):
        corner, text = frame[-16:, -16:].mean((0, 1)), frame[:16, :40]
        np.testing.assert_allclose(corner, COLORS[color] * 255, atol=12)
        assert text.std() > 20, "something is written in the corner"
    again = edgecnn("classify", net, clip, "--record", "out.mp4")
    assert again.code == 1
    assert "out.mp4 is already there" in again.err
    with av.open("out.mp4") as container:
        assert len(list(container.decode(video=0))) == len(SHOWN)


def test_a_window_that_cannot_be_opened_is_told_before_the_camera_is_asked(
    edgecnn: Edgecnn, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    said = edgecnn("classify", net, "v4l2:///dev/video99", "--window")
    assert said.code == 1
    assert "there is no display" in said.err
    assert "--no-window" in said.err


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("missing.mp4",), "missing.mp4: no such file"),
        (("gopher://camera",), "unknown address 'gopher://camera'"),
        (("clip.mp4", "--record", "out.avi"), "out.avi: clips are written as .mp4"),
        (("clip.mp4", "--record", "nowhere/out.mp4"), "there is no folder nowhere"),
        (("clip.mp4", "clip.mp4", "--seconds", "1"), "one video or camera"),
        (("clip.mp4", "--smoothing", "1"), "--smoothing"),
        (("clip.mp4", "--seconds", "0"), "--seconds"),
        (("picture.png", "--watch-ranges"), "--watch-ranges goes with one video or camera"),
        (("picture.png", "--threshold", "0"), "--threshold goes with one video or camera"),
    ],
)
def test_what_cannot_be_shown_says_why(
    edgecnn: Edgecnn, net: Path, clip: Path, arguments: tuple[str, ...], cause: str
) -> None:
    said = edgecnn("classify", net, *arguments)
    assert said.code in (1, 2)
    assert cause in said.err
    assert not list(Path().glob("*out*"))


def test_a_file_that_remembers_no_ranges_says_so(edgecnn: Edgecnn, net: Path, clip: Path) -> None:
    said = edgecnn("classify", net, clip, "--watch-ranges", "--json")
    assert said.code == 0
    assert "net.onnx remembers no ranges" in said.err
    assert json.loads(said.out.splitlines()[-1])["summary"]["watched"] == []


def test_time_ends_a_camera_that_is_gone(net: Path) -> None:
    lives = iter(((np.zeros((8, 8, 3), np.uint8),),))

    def unplugged() -> Iterator[Image]:
        yield from next(lives, ())
        raise OSError("unplugged")

    source: Any = unplugged
    with load(net, threads=1) as model:
        stats = watch(Speaker(quiet=True), model, Live(source=source, seconds=0.2))
    assert stats.answered <= 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("profile", "net.onnx", "--source", "clip.mp4", "--device", "local"),
        ("profile", "--source", "clip.mp4"),
        ("calibrate", ".", "--minutes", "1"),
    ],
)
def test_what_would_do_nothing_is_refused(
    edgecnn: Edgecnn, net: Path, clip: Path, arguments: tuple[str, ...]
) -> None:
    said = edgecnn(*arguments)
    assert said.code == 2
    assert "--" in said.err


def test_photon_to_label_says_where_the_time_goes(edgecnn: Edgecnn, net: Path, clip: Path) -> None:
    said = edgecnn("profile", net, "--source", clip, "--json")
    assert said.code == 0, said.err
    (found,) = said.document["photon_to_label"]
    assert found["captured"] == len(SHOWN)
    assert found["latency_ms"]["p50"] >= found["engine_ms"]["p50"] > 0
    assert "preprocess" in edgecnn("profile", net, "--source", clip).out


def test_compile_builds_the_helper_for_preprocessing(edgecnn: Edgecnn, net: Path) -> None:
    first = edgecnn("compile", net)
    assert first.code == 0, first.err
    assert "preprocess   " in first.out


def test_a_map_is_told_by_the_share_of_its_classes() -> None:
    output = np.zeros((1, 3, 2, 2), np.float32)
    output[0, 1, 0] = output[0, 2, 1, 0] = 1
    told = described(segmented((2, 2), output, (2, 2)), top=2)
    assert told == (("class 1", 0.5), ("class 0", 0.25))


def test_boxes_are_drawn_where_they_are() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    drawn = annotated(image, [("thing", 0.9)], [(20, 30, 80, 90)])
    assert drawn[60, 20].any()
    assert drawn[60, 80].any()
    assert not drawn[60, 50].any()
    assert not image.any(), "the frame itself stays as it is"
