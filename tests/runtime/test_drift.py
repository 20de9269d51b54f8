"""A camera that sees something else than the calibration images is told of, and only that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.runtime import Camera, Classification, load
from edgecnn.runtime.drift import DriftWatch, Glance, glance, usual, usual_of
from tests.profiling.toys import color_picture, write_color_net

IMAGES = [Glance(0.4 + 0.01 * n, 0.2 + 0.002 * n, 0.6 + 0.01 * n) for n in range(-5, 6)]


def contract(remembered: Any) -> Contract:
    spec = TensorSpec("x", "float32", (1,))
    steps = [{"step": "export"}, {"step": "quantize", "usual": remembered}]
    return Contract((spec,), (spec,), Preprocess(size=(8, 8)), provenance={"steps": steps})


def watched(seen: Glance, frames: int = 300) -> tuple[str, ...]:
    watch = DriftWatch(contract(usual(IMAGES)))
    for _ in range(frames):
        watch.add(seen)
    return watch.messages()


def test_what_is_like_the_calibration_images_is_not_told_of() -> None:
    assert watched(Glance(0.41, 0.2, 0.6)) == ()
    assert watched(Glance(0.36, 0.205, 0.99, (0.01, -0.01))) == ()


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Glance(0.05, 0.2, 0.6), "brighter or darker"),
        (Glance(0.9, 0.2, 0.6), "brighter or darker"),
        (Glance(0.4, 0.01, 0.6), "flatter or harsher"),
        (Glance(0.4, 0.2, 0.1), "less surely named"),
        (Glance(0.4, 0.2, 0.6, (0.1, 0.0)), "otherwise coloured"),
        (Glance(0.4, 0.2, 0.6, (0.0, -0.1)), "otherwise coloured"),
    ],
)
def test_each_difference_has_its_words(seen: Glance, words: str) -> None:
    (message,) = watched(seen)
    assert words in message
    assert "recalibrate" in message


def test_a_few_frames_are_no_drift() -> None:
    dark = Glance(0.0, 0.0, 0.0)
    assert watched(dark, frames=299) == ()
    watch = DriftWatch(contract(usual(IMAGES)))
    for index in range(300):
        watch.add(dark if index % 3 == 0 else IMAGES[index % len(IMAGES)])
    assert watch.messages() == ()


def test_a_detector_has_no_confidence_to_compare() -> None:
    remembered = usual([Glance(0.4, 0.2, None), Glance(0.5, 0.3, None)])
    assert "confidence" not in remembered
    watch = DriftWatch(contract(remembered))
    for _ in range(300):
        watch.add(Glance(0.45, 0.25, None))
    assert watch.messages() == ()


@pytest.mark.parametrize(
    "remembered", [None, {}, {"mean": 3, "deviation": []}, {"mean": ["a", 1], "deviation": [0, 1]}]
)
def test_a_contract_that_remembers_nothing_sane_is_not_watched(remembered: Any) -> None:
    watch = DriftWatch(contract(remembered))
    watch.add(IMAGES[0])
    assert watch.watched == ()
    assert watch.messages() == ()


def test_both_layouts_look_the_same() -> None:
    values = np.random.default_rng(0).random((1, 3, 16, 20), dtype=np.float32)
    other = glance(np.ascontiguousarray(values.transpose(0, 2, 3, 1)), "NHWC", None)
    one = glance(values, "NCHW", None)
    assert (one.mean, one.deviation) == pytest.approx((other.mean, other.deviation))
    assert one.tint == pytest.approx(other.tint)


def test_a_tint_is_told_from_light() -> None:
    gray = np.full((1, 3, 8, 8), 0.5, np.float32)
    red, green = gray.copy(), gray.copy()
    red[:, 0] += 0.2
    green[:, 1] += 0.2
    for tensor, tint in ((gray, (0, 0)), (2 * gray, (0, 0)), (red, (0.2, -0.1)), (green, (0, 0.2))):
        assert glance(tensor, "NCHW", None).tint == pytest.approx(tint, abs=1e-6)
    assert glance(gray[:, :1], "NCHW", None).tint == (0, 0)


def test_a_file_of_an_earlier_version_knows_no_tint() -> None:
    remembered = {name: value for name, value in usual(IMAGES).items() if name != "tint"}
    watch = DriftWatch(contract(remembered))
    for _ in range(300):
        watch.add(Glance(0.4, 0.2, 0.6, (9.0, 9.0)))
    assert watch.watched == ("input", "confidence")
    assert watch.messages() == ()


def test_a_stream_says_recalibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    pictures = [color_picture(index) for index in (1, 2, 4, 9, 10, 12)]  # one primary colour
    with load(write_color_net(tmp_path / "bare.onnx"), threads=1) as model:
        glances = []
        for picture in pictures:
            tensor = model.preprocess(picture)
            glances.append(model.glance(tensor, model.outputs(tensor)))
        result = model(pictures[0])
        assert isinstance(result, Classification)
        assert glances[0].confidence == result.scores.max()
    steps: list[Mapping[str, Any]] = [{"step": "quantize", "usual": usual(glances)}]
    path = write_color_net(tmp_path / "net.onnx", provenance={"model": "net", "steps": steps})
    with load(path, threads=1) as model:
        assert usual_of(model.contract) == usual(glances)
        black = np.zeros_like(pictures[0])
        for frames, drifted in ((pictures * 60, False), ([black] * 320, True)):
            with Camera(frames) as camera, model.stream(camera) as stream:
                list(stream)
                assert bool(stream.stats().drift) is drifted
