"""This machine as a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices import Device, LocalDevice
from edgecnn.devices.find import facts_of, find_device
from edgecnn.errors import DeviceError


def test_it_tells_its_facts() -> None:
    device: Device = find_device("local")
    assert facts_of(device)["versions"]["python"]
    assert device.name == "local"


def test_files_are_already_there(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"net")
    assert Path(LocalDevice().push(file)) == file.resolve()


def test_files_come_back(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    LocalDevice().pull(str(tmp_path / "there"), tmp_path / "here")
    assert (tmp_path / "here").read_text() == "x"
    with pytest.raises(DeviceError, match="nowhere"):
        LocalDevice().pull(str(tmp_path / "nowhere"), tmp_path / "here")


def test_a_verb_that_fails_gives_its_last_words() -> None:
    with pytest.raises(DeviceError, match="invalid choice"):
        LocalDevice().run(("dance",), timeout_s=30)


def test_modules_in_the_folder_it_is_started_in_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('a stranger was run')")
    monkeypatch.chdir(tmp_path)
    assert facts_of(LocalDevice())["machine"]


def test_an_unknown_device_is_refused_with_advice() -> None:
    with pytest.raises(DeviceError, match="jetson") as refused:
        find_device("jetson")
    assert refused.value.hint
