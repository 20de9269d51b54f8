"""Sounds ride the road of photos: trained, exported, quantized, evaluated, heard on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.datasets.sounds import read_sound, write_sound
from edgecnn.datasets.tones import write_tones
from edgecnn.runtime import Classification, load
from tests.cli.conftest import Edgecnn

ROOT = Path(__file__).parents[2]
NEW = ("--weights", "random", "--tune", "all", "--threads", "1")
LEARN = (*NEW, "--lr", "0.01", "--batch", "8", "--ema", "0.9")
SHORT = ("--seconds", "0.25")


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    folder = tmp_path / "tones"
    write_tones(folder, each=30, seconds=0.3, rate_hz=8000)
    return folder


@pytest.mark.slow
def test_sounds_become_a_network_that_listens(edgecnn: Edgecnn, tones: Path) -> None:
    (tones / "falling" / "000.wav").write_bytes(b"broken")
    write_sound(tones / "noise" / "000.wav", np.zeros(9000, np.float32), 44_100)
    write_sound(tones / "noise" / "001.wav", np.zeros(900, np.float32), 8000)
    said = edgecnn(
        *("train", "--model", "lenet5", "--data", tones, *LEARN, *SHORT, "--epochs", "20"),
        *("--held-out", "0.3"),
    )
    assert said.code == 0, said.err
    assert "sounds       117 of 4 classes" in said.out
    assert "0.25 s at 8,000 Hz, as a picture of 64 bands x 22 moments" in said.out
    assert "falling/000.wav: not a WAV file" in said.err
    assert "noise/000.wav: a sound of 44100 samples a second; 8000" in said.err
    assert "noise/001.wav: a sound of 0.113 s is too short; 0.25 s" in said.err
    assert edgecnn("export", "lenet5-tones.safetensors").code == 0
    listed = ("--calibration", "lenet5-tones.trained.txt", "--effort", "fast")
    quantized = edgecnn("quantize", "lenet5-tones.onnx", *listed)
    assert quantized.code == 0, quantized.err
    assert "warning" not in quantized.err.lower()
    files = ("lenet5-tones.onnx", "lenet5-tones.int8.onnx")
    found = edgecnn("evaluate", *files, "--data", "lenet5-tones.held-out.tsv", "--json").document
    fp32, int8 = (row["top1"]["value"] for row in found["results"])
    assert fp32 > 70
    assert abs(fp32 - int8) <= 8
    # What the device is given are samples, and its answer is that of the evaluation's road.
    sound = read_sound(tones / "rising" / "005.wav")
    with load("lenet5-tones.int8.onnx") as model:
        answer = model(np.asarray(sound))
        assert isinstance(answer, Classification)
        assert answer.top(1)[0] == model.classify((sound * 32768).astype(np.int16), top=1)[0]
        assert model.verify().passed
    shown = edgecnn("classify", files[1], tones / "rising" / "005.wav")
    assert f"{answer.top(1)[0].name}" in shown.out
    looked = edgecnn("explain", files[1], "--image", tones / "steady" / "001.wav", "-o", "heat.png")
    assert looked.code == 0, looked.err
    profiled = edgecnn("profile", files[1], "--boundary", "frame", "--time-limit", "1", "--json")
    assert profiled.code == 0, profiled.err


def test_what_does_not_go_with_sounds_or_photos_is_said(edgecnn: Edgecnn, tones: Path) -> None:
    train = ("train", "--model", "lenet5", "--data", tones, *LEARN)
    said = edgecnn(*train, "--seconds", "2")
    assert said.code == 1
    assert "none of the files of 'falling' can be used" in said.err
    assert "is too short; 2 s are listened to" in said.err
    assert edgecnn(*train, *SHORT, "--epochs", "1", "-o", "heard.safetensors").code == 0
    assert edgecnn("export", "heard.safetensors").code == 0
    for arguments, told in (
        (("classify", "heard.onnx", ROOT / "docs" / "report.png"), "no sound; the network listens"),
        (("evaluate", "heard.onnx", "--data", tones, "--views", "flip"), "a sound has no other"),
        (("quantize", "heard.onnx", "--calibration", "natural:16"), "no sound; the network"),
        ((*train[:1], "--model", "heard.safetensors", *train[3:5], *SHORT), "listens to 0.25 s"),
    ):
        refused = edgecnn(*arguments)
        assert refused.code in (1, 2)
        assert told in refused.err
        assert "Traceback" not in refused.err
    sheet = edgecnn(*train[:5], *SHORT, "--show-augmented", "views.png")
    assert sheet.code == 0, sheet.err


@pytest.mark.slow
def test_the_recipe_tells_synthetic_tones_apart(edgecnn: Edgecnn, tmp_path: Path) -> None:
    write_tones(tmp_path / "tones", each=60)
    recipe = ROOT / "recipes" / "tones" / "lenet5.toml"
    said = edgecnn("train", recipe, "--data", "tones", "--threads", "1", "--json")
    assert said.code == 0, said.err
    assert said.document["held_out_top1"]["value"] >= 90
