"""`edgecnn calibrate` looks at images and says what it found; `quantize` says it in short."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.datasets.digits import write_digits
from edgecnn.datasets.natural import natural_images
from tests.cli.conftest import Edgecnn

ROOT = Path(__file__).parents[2]


def photos(folder: Path, count: int, *, seed: int = 5) -> Path:
    folder.mkdir(parents=True)
    for index, image in enumerate(natural_images(count, height=48, width=64, seed=seed)):
        Image.fromarray(image).save(folder / f"{index:03}.png")
    return folder


def test_a_folder_is_looked_at(edgecnn: Edgecnn) -> None:
    photos(Path("photos"), 20)
    said = edgecnn("calibrate", "photos", "--check")
    assert said.code == 0
    labels = [line.split()[0] for line in said.out.splitlines()]
    assert labels == ["images", "different", "light", "sha256", "verdict", "next"]
    assert "next         edgecnn quantize FILE.onnx --calibration photos" in said.out
    assert said.err == ""


def test_the_next_command_prepares_images_as_this_one_did(edgecnn: Edgecnn) -> None:
    photos(Path("my photos"), 20)
    how = ("--images", "16", "--size", "32x48", "--no-antialias", "--mean", "0.5,0.25,0.125")
    said = edgecnn("calibrate", "my photos", *how, "--detector", "nanodet", "--seed", "0")
    assert said.code == 0, said.err
    command = shlex.split(said.out.splitlines()[-1].partition("edgecnn ")[2])
    assert command[:4] == ["quantize", "FILE.onnx", "--calibration", "my photos"]
    assert sorted(command[4:]) == sorted((*how, "--detector", "nanodet"))


def test_a_camera_makes_a_set_that_is_then_looked_at(edgecnn: Edgecnn) -> None:
    folder = photos(Path("seen"), 24)
    for index in range(24):
        shutil.copy(folder / f"{index:03}.png", folder / f"{index:03}-again.png")
    said = edgecnn("calibrate", "--camera", folder, "-o", "set", "--images", "20")
    assert said.code == 0, said.err
    assert "captured     20 of 48 frames differ enough: set/" in said.out
    assert "next         edgecnn quantize FILE.onnx --calibration set" in said.out
    kept = sorted(Path("set").iterdir())
    assert [path.name for path in kept] == [f"{place:04d}.png" for place in range(20)]
    seen = {Image.open(path).tobytes() for path in folder.iterdir()}
    assert all(Image.open(path).tobytes() in seen for path in kept)
    assert "holds something already" in edgecnn("calibrate", "--camera", folder, "-o", "set").err
    assert "either DIR or --camera" in edgecnn("calibrate", "seen", "--camera", folder).err
    assert "name a folder" in edgecnn("calibrate").err
    assert "-o goes with --camera" in edgecnn("calibrate", "seen", "-o", "x").err


def test_with_a_network_and_an_evaluation_set_it_says_more(edgecnn: Edgecnn, lenet: Path) -> None:
    photos(Path("photos"), 20)
    photos(Path("labelled"), 6, seed=8)
    shutil.copy("photos/004.png", "labelled/4_.png")
    said = edgecnn("calibrate", "photos", "--model", lenet, "--against", "labelled")
    assert said.code == 0
    assert "overlap      1 the same and 0 nearly the same in labelled (7 images)" in said.out
    assert "classes      not judged: its weights are random" in said.out
    assert re.search(r"ranges +64 more images would change them by about [0-9.]+%", said.out)
    assert "usable, with the warnings above" in said.out
    assert said.err.startswith("warning  1 calibration image also in labelled (004.png)")


def test_machines_get_everything(edgecnn: Edgecnn, lenet: Path) -> None:
    photos(Path("photos"), 20)
    said = edgecnn("calibrate", "photos", "--model", lenet, "--json")
    assert said.code == 0
    assert said.err.splitlines() == [f"warning  {text}" for text in said.document["warnings"]]
    assert said.document["near_duplicates"] == []
    assert said.document["convergence"]["images"] == 20
    assert said.document["problem"] is None


def test_what_is_hopeless_is_refused_after_all_has_been_said(edgecnn: Edgecnn) -> None:
    photos(Path("photos"), 12)
    Path("photos/005.png").write_bytes(b"")
    said = edgecnn("calibrate", "photos")
    assert said.code == 1
    assert "images       11 from photos, 1 more cannot be read" in said.out
    assert "warning  1 image cannot be read: photos/005.png: the file is empty" in said.err
    assert "Error: photos: 12 images; 16 different ones are the least" in said.err
    assert "Hint:  add images of other scenes" in said.err
    as_json = edgecnn("calibrate", "photos", "--json")
    assert (as_json.code, as_json.document["verdict"]) == (1, "refused")


def test_quantize_says_it_in_one_line(edgecnn: Edgecnn, lenet: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    write_digits(Path("digits"), "calibration")
    write_digits(Path("held"), "held_out")
    shutil.copy(next(Path("digits").rglob("*.png")), next(Path("held").rglob("*.png")))
    said = edgecnn(
        "quantize", lenet, "--calibration", "digits", "--images", 40, "-o", "a.onnx",
        "--effort", "fast", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.document["calibration"]["images"] == 40
    assert said.document["calibration"]["verdict"] in ("ok", "warnings")
    told = edgecnn(
        "quantize", lenet, "--calibration", "digits", "--images", 40, "-o", "b.onnx",
        "--effort", "fast",
    )  # fmt: skip
    assert re.match(r"calibration  40 images, \S+ near-duplicates?    (ok|\d warning)", told.out)


@pytest.mark.slow
def test_a_killed_quantization_goes_on_and_writes_the_same_bytes(
    edgecnn: Edgecnn, lenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so many images that the state is written before they are through."""
    folder = photos(tmp_path / "photos", 64)
    names = "\n".join(str(path) for path in folder.iterdir())
    folder.joinpath("list.txt").write_text("\n".join([names] * 2))
    command = [
        *(sys.executable, "-c", SLOW, "quantize", str(lenet)),
        *("--calibration", str(folder / "list.txt"), "--effort", "fast", "-o"),
    ]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with subprocess.Popen([*command, "cut.onnx"]) as process:
        wait_for(tmp_path / "cache" / "unfinished", process)
        process.send_signal(signal.SIGKILL)
    assert not Path("cut.onnx").exists()
    assert "calibration-" in edgecnn("cache", "list").out
    done = subprocess.run([*command, "cut.onnx"], check=True, capture_output=True, text=True)
    assert re.search(r"resume +\d+ of 102 images were done before", done.stdout)
    assert not list(Path("cache/unfinished").iterdir())
    subprocess.run([*command, "whole.onnx"], check=True, capture_output=True)
    assert Path("cut.onnx").read_bytes() == Path("whole.onnx").read_bytes()
    assert Path("cut.ranges.json").read_bytes() == Path("whole.ranges.json").read_bytes()


# The state is written after each image instead of every ten seconds, and images take a while.
SLOW = """
import sys, time
from edgecnn.cli.app import run
from edgecnn.graph import checkpoint, session
plain = session.Session.run
def slowly(self, tensor):
    time.sleep(0.005)
    return plain(self, tensor)
session.Session.run = slowly
checkpoint.Checkpoint.__init__.__defaults__ = (0.0,)
sys.exit(run(sys.argv[1:]))
"""


def wait_for(folder: Path, process: subprocess.Popen[bytes]) -> None:
    while not list(folder.glob("[!.]*")):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)
