"""Naming devices, and what is said of names that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Edgecnn
from tests.profiling.toys import write_color_net


@pytest.fixture(autouse=True)
def own_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_DEVICES", str(tmp_path / "devices.toml"))


def test_devices_are_added_listed_and_removed(edgecnn: Edgecnn) -> None:
    assert "none yet" in edgecnn("devices", "list").out
    added = edgecnn("devices", "add", "jetson", "ssh://me@192.168.1.20:2222")
    assert "next         edgecnn devices check jetson" in added.out
    edgecnn("devices", "add", "pi", "ssh://pi", "--python", "~/venv/bin/python")
    listed = edgecnn("devices", "list").out
    assert "jetson  ssh://me@192.168.1.20:2222" in listed
    assert "pi      ssh://pi   ~/venv/bin/python" in listed
    assert edgecnn("devices", "remove", "jetson").code == 0
    document = edgecnn("devices", "list", "--json").document
    assert document["devices"] == [{"name": "pi", "url": "ssh://pi", "python": "~/venv/bin/python"}]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("devices", "add", "pi", "http://x"), 2, "is not an address"),
        (("devices", "add", "local", "ssh://x"), 2, "cannot be the name"),
        (("devices", "remove", "pi"), 2, "no device named 'pi'"),
        (("devices", "check", "pi"), 1, "no device named 'pi'"),
        (("profile", "x.onnx", "--device", "ssh://"), 2, "is not an address"),
    ],
)
def test_what_leads_nowhere_is_told_in_a_line(
    edgecnn: Edgecnn, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    write_color_net(tmp_path / "x.onnx")
    said = edgecnn(*arguments)
    assert said.code == code
    assert words in said.err
    assert "Hint:  " in said.err
    assert "Traceback" not in said.err


def test_a_jetson_that_is_not_there_shows_both_ways_on(edgecnn: Edgecnn, tmp_path: Path) -> None:
    net = write_color_net(tmp_path / "net.onnx")
    said = edgecnn("profile", net, "--device", "jetson")
    assert said.code == 1
    assert "no device named 'jetson', and this machine is not a Jetson" in said.err
    assert "edgecnn devices add jetson ssh://user@host" in said.err
    assert "--device jetson-orin-nano --estimate" in said.err


def test_the_doctor_looks_at_this_machine(edgecnn: Edgecnn) -> None:
    said = edgecnn("doctor")
    assert said.code == 0
    assert "numpy" in said.out
    document = edgecnn("doctor", "--json").document
    assert document["packages"]["onnxruntime"]
    assert document["needs"] == []
    assert document["facts"]["cores"] >= 1


def test_an_estimate_is_told_as_one(edgecnn: Edgecnn, tmp_path: Path) -> None:
    net = write_color_net(tmp_path / "net.onnx", work=2)
    said = edgecnn("profile", net, "--device", "jetson", "--device", "raspberry-pi-4", "--estimate")
    assert said.code == 0
    assert "Jetson Orin Nano 8GB, its GPU at 625 MHz, TensorRT: estimated" in said.out
    assert "Raspberry Pi 4, four Cortex-A72 at 1.5 GHz, ONNX Runtime: estimated" in said.out
    assert said.out.count(" ms  (") == 2
    assert "Estimated, not measured" in said.out
    assert not list(tmp_path.glob("profile-*")), "no report: nothing was measured"
    rows = edgecnn("profile", net, "--device", "jetson", "--estimate", "--json").document
    (row,) = rows["estimates"]
    assert row["estimated"]
    assert row["latency_ms"]["low"] < row["latency_ms"]["value"] < row["latency_ms"]["high"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--estimate",), 2, "name it"),
        (("--estimate", "--device", "toaster"), 1, "nothing is known about"),
        (("--estimate", "--device", "x86-zen5-core"), 1, "measure there instead"),
    ],
)
def test_what_cannot_be_estimated_is_told(
    edgecnn: Edgecnn, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = edgecnn("profile", write_color_net(tmp_path / "net.onnx"), *arguments)
    assert said.code == code
    assert words in said.err
