"""The command line on devices behind ssh, as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import edgecnn
from edgecnn.cli.app import run
from tests.devices.conftest import MakeDevice
from tests.profiling.toys import write_pictures

QUICK = ("--precision", "1", "--time-limit", "1", "--threads", "1")


def test_a_device_is_checked(device: MakeDevice, capsys: pytest.CaptureFixture[str]) -> None:
    board = device()
    assert run(["devices", "check", board.name]) == 0
    told = capsys.readouterr().out
    assert str(board.cache) in told
    assert "onnxruntime" in told


def test_what_a_device_lacks_is_told_with_its_remedy(
    device: MakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    board = device(python=("/usr/bin/env", "python3", "-I", "-S"))
    assert run(["devices", "check", board.name, "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["needs"][0]["stops"] == "everything"
    assert "pip install numpy onnxruntime" in captured.err


@pytest.mark.slow
def test_a_profile_writes_its_report_and_the_second_pushes_nothing(
    device: MakeDevice,
    net: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    board = device()
    command = ["profile", str(net), "--device", board.name, *QUICK]
    assert run([*command, "-o", "report.html"]) == 0
    told = capsys.readouterr().out
    assert f"push         {net.name}" in told
    assert "State: stable." in told or "Not a steady run" in told
    assert Path("report.html").stat().st_size > 10_000
    assert run([*command, "--force"]) == 0
    assert capsys.readouterr().out.count("already there") == 1


def test_several_devices_are_profiled_at_once(
    device: MakeDevice,
    net: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second is not there: the first is told all the same."""
    monkeypatch.chdir(tmp_path)
    board, other = device(name="one"), device(name="two")
    gone = "ssh://127.0.0.1:1"
    names = [word for name in (board.name, other.name, gone) for word in ("--device", name)]
    assert run(["profile", str(net), *names, *QUICK, "--json"]) == 1
    captured = capsys.readouterr()
    reports = json.loads(captured.out)["reports"]
    assert [report["device"]["name"] for report in reports] == ["one", "two"]
    assert "no ssh server answers" in captured.err
    assert run(["profile", str(net), "--device", "one", "--device", "one"]) == 2


def test_accuracy_is_that_of_the_device_and_frames_travel_once(
    device: MakeDevice, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = device()
    write_pictures(tmp_path / "pictures", list(range(8)))
    evaluate = ["evaluate", str(net), "--data", str(tmp_path / "pictures"), "--json"]
    assert run(evaluate) == 0
    here = json.loads(capsys.readouterr().out)["results"][0]
    assert run([*evaluate, "--device", board.name]) == 0
    there = json.loads(capsys.readouterr().out)["results"][0]
    assert (here["device"], there["device"]) == ("local", board.name)
    assert there["top1"] == here["top1"]
    kept = board.kept
    assert len(kept) == 4  # the runtime, the file, its contract, the frames
    assert run([*evaluate, "--device", board.name]) == 0
    assert board.kept == kept


@pytest.mark.slow
def test_a_budget_is_judged_on_the_device(
    device: MakeDevice, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --device the labelled images are answered there, by the float file and by INT8."""
    board, pictures = device(), write_pictures(tmp_path / "pictures", [n % 8 for n in range(24)])
    quantize = ["quantize", str(net), "--calibration", "natural:16", "--effort", "fast"]
    quantize += ["--data", str(pictures), "-o", str(tmp_path / "net.int8.onnx"), "--json"]
    assert run([*quantize, "--max-drop", "50", "--device", board.name]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["accuracy"]["device"] == board.name
    assert document["accuracy"]["paired"]["n"] == 24
    kept = len(board.kept)
    assert kept == 5  # the runtime, the frames, both files, their contract
    assert run([*quantize, "--device", board.name, "--force"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"]["device"] == board.name


def test_ctrl_c_ends_all_of_several(
    device: MakeDevice, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(edgecnn.__path__[0]).parent))
    boards = [device(name="one"), device(name="two")]
    arguments = [word for board in boards for word in ("--device", board.name)]
    endless = ["--precision", "0.001", "--time-limit", "600", "--threads", "1"]
    ours = subprocess.Popen(
        [sys.executable, "-m", "edgecnn", "profile", str(net), *arguments, *endless],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for board in boards:
        assert board.awaited("-m edgecnn.runtime worker")
    ours.send_signal(signal.SIGINT)
    _, told = ours.communicate()
    assert ours.returncode == 130
    assert "Traceback" not in told
    assert all(board.settles() for board in boards)
