"""This machine as a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices import Device, LocalDevice
from edgecnn.devices.facts import facts_of
from edgecnn.devices.find import find_device, open_device
from edgecnn.errors import DeviceError


def test_it_tells_its_facts() -> None:
    with open_device("local") as device:
        there: Device = device
        assert facts_of(there)["versions"]["python"]
        assert there.name == "local"


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


@pytest.fixture
def two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "devices.toml"
    file.write_text('[jetson-nx]\nurl = "ssh://a"\n[pi]\nurl = "ssh://b"\n')
    monkeypatch.setenv("EDGECNN_DEVICES", str(file))


@pytest.mark.usefixtures("two_devices")
def test_an_unknown_device_is_refused_with_both_ways_on() -> None:
    with pytest.raises(DeviceError, match="this machine is not a Jetson") as refused:
        find_device("jetson")
    assert "edgecnn devices add jetson ssh://user@host" in refused.value.hint
    assert "--estimate" in refused.value.hint


@pytest.mark.usefixtures("two_devices")
def test_a_misspelt_device_is_answered_with_the_nearest() -> None:
    with pytest.raises(DeviceError, match="'jetson-xn'") as refused:
        find_device("jetson-xn")
    assert "did you mean jetson-nx?" in refused.value.hint


@pytest.mark.usefixtures("two_devices")
def test_names_and_addresses_lead_to_hosts() -> None:
    pi, other = find_device("pi"), find_device("ssh://me@c:22")
    assert pi
    assert other
    assert (pi.name, pi.address.host) == ("pi", "b")
    assert (other.name, other.address.user) == ("ssh://me@c:22", "me")
    assert find_device("local") is None
