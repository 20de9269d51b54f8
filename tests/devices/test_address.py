"""Where a device is, and under what name the user knows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.devices.address import Address, parse_address
from edgecnn.devices.known import Known, add_device, devices_file, known_devices, remove_device
from edgecnn.errors import FileError, UsageError


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config" / "devices.toml"
    monkeypatch.setenv("EDGECNN_DEVICES", str(file))
    return file


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ssh://jetson", ("--", "jetson")),
        ("ssh://pi@raspberrypi.local/", ("-l", "pi", "--", "raspberrypi.local")),
        ("ssh://me@192.168.1.20:2222", ("-p", "2222", "-l", "me", "--", "192.168.1.20")),
        ("ssh://[fe80::1%eth0]:22", ("-p", "22", "--", "fe80::1%eth0")),
    ],
)
def test_an_address_becomes_words_of_ssh(url: str, words: tuple[str, ...]) -> None:
    assert parse_address(url).words == words


@pytest.mark.parametrize(
    "url",
    ["jetson", "http://jetson", "ssh://", "ssh://-oProxyCommand=id", "ssh://-l@host", "ssh://a b",
     "ssh://host:0", "ssh://host:65536", "ssh://host/etc", "ssh://me:secret@host", "ssh://h;id"],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_a_password_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="not an address") as refused:
        parse_address(url)
    assert "secret" not in str(refused.value)


@given(st.text(max_size=40))
def test_no_text_becomes_an_option_of_ssh(text: str) -> None:
    try:
        words = parse_address(f"ssh://{text}").words
    except UsageError:
        return
    assert words[-2] == "--"
    assert not any(word.startswith("-") for word in words[:-2:1] if word not in ("-p", "-l"))
    assert parse_address(str(parse_address(f"ssh://{text}"))).words == words


JETSON = Known("jetson", Address("192.168.1.20", "me", 2222))
PI = Known("pi-5", Address("raspberrypi.local"), "~/venv/bin/python")


def test_devices_are_remembered_in_their_order(own_file: Path) -> None:
    assert known_devices() == ()
    add_device(JETSON)
    add_device(PI)
    assert known_devices() == (JETSON, PI)
    assert devices_file() == own_file


def test_removing_one_leaves_the_others_and_what_people_wrote(own_file: Path) -> None:
    add_device(JETSON)
    with own_file.open("a") as stream:
        stream.write("\n# the one on the shelf\n")
    add_device(PI)
    remove_device("jetson")
    assert known_devices() == (PI,)
    with pytest.raises(UsageError, match="no device named 'jetson'"):
        remove_device("jetson")


@pytest.mark.parametrize("name", ["local", "", "a b", "../x", "ssh://x", "a.b", "-x", "[x]"])
def test_a_name_that_would_not_do_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        add_device(Known(name, Address("host")))


def test_a_name_is_taken_once() -> None:
    add_device(JETSON)
    with pytest.raises(UsageError, match="already") as refused:
        add_device(JETSON)
    assert "devices remove jetson" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[jetson", "not TOML"),
        ("jetson = 5", "no url"),
        ("[jetson]\nurl = 5", "no url"),
        ('[jetson]\nurl = "ssh://-x"', "not an address"),
        ('[jetson]\nurl = "ssh://host"\npasswd = "x"', "passwd"),
        ("\udcff", "not a text file"),
    ],
)
def test_a_file_that_people_broke_is_told_with_its_name(
    own_file: Path, text: str, message: str
) -> None:
    own_file.parent.mkdir()
    own_file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FileError, match=message) as refused:
        known_devices()
    assert str(own_file) in str(refused.value)


def test_the_file_lies_in_the_users_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECNN_DEVICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/conf")
    assert devices_file() == Path("/conf/edgecnn/devices.toml")
