"""What a device lacks is told with the command that mends it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices import agent
from edgecnn.devices.hello import parse_hello
from edgecnn.devices.needs import needs, refuse_unfit
from edgecnn.errors import DeviceError

PACKAGES = {"numpy": "2.2.6", "onnxruntime": "1.23.2", "tensorrt": None}


def said(**changes: Any) -> dict[str, Any]:
    """What an agent says of a Pi that has everything."""
    return {
        "pid": 7, "python": [3, 11, 2], "executable": "/usr/bin/python3", "machine": "aarch64",
        "model": "Raspberry Pi 5 Model B Rev 1.0",
        "compatible": "raspberrypi,5-model-b brcm,bcm2712", "tegra_release": "",
        "os_release": 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12"\n', "packages": PACKAGES,
        "pythons": [], "venv": True, "folder": "/home/pi/.cache/edgecnn/remote",
        "free_bytes": 10**10,
    } | changes  # fmt: skip


def jetson(compatible: str, revision: str, **changes: Any) -> dict[str, Any]:
    release = f"# R{revision[:2]} (release), REVISION: {revision[3:]}"
    return said(
        model="a Jetson", compatible=f"nvidia,{compatible}", tegra_release=release, **changes
    )


NANO = "p3450-0000 nvidia,tegra210"
XAVIER = "p3668-0000 nvidia,tegra194"
ORIN = "p3767-0005 nvidia,tegra234"


def test_a_device_that_has_everything_needs_nothing() -> None:
    hello = parse_hello("pi", said())
    assert hello.system == "Debian GNU/Linux 12"
    assert needs(hello) == ()
    refuse_unfit("pi", hello)


@pytest.mark.parametrize(
    ("document", "what", "remedy"),
    [
        (said(packages=PACKAGES | {"numpy": None}), "NumPy", "pip install numpy onnxruntime"),
        (said(packages={"numpy": "2"}), "no engine", "~/.edgecnn/bin/pip install"),
        (said(free_bytes=10**6), "1.0 MB are left", "make room"),
        (jetson(ORIN, "36.4.3", packages={"numpy": "1"}), "no engine", "python3-libnvinfer"),
        (jetson(ORIN, "36.4.3"), "only the CPU", "sudo apt install nvidia-jetpack"),
        (jetson(NANO, "32.7.1", python=[3, 6, 9]), r"JetPack 4\.6 .*last for a Nano", "Miniforge"),
        (jetson(XAVIER, "35.6.4", python=[3, 8, 10]), r"5\.1 .*last for a Xavier", "Miniforge"),
        (jetson(ORIN, "35.4.1", python=[3, 8, 10]), r"Python 3\.8.*JetPack 5", "flash JetPack 6"),
        (said(python=[3, 9, 2]), "needs 3.10", "Miniforge"),
        (said(python=[3, 9, 2], pythons=["python3.11"]), "needs 3.10", "--python python3.11"),
    ],
)
def test_what_is_missing_is_told_with_its_remedy(
    document: dict[str, Any], what: str, remedy: str
) -> None:
    (need,) = needs(parse_hello("board", document))
    with pytest.raises(AssertionError, match=what):
        raise AssertionError(need.what)
    assert remedy in need.remedy


@pytest.mark.parametrize(
    "change",
    [{"python": "3.11"}, {"python": [3, 11]}, {"python": [3, 11, -1]}, {"packages": []},
     {"free_bytes": "much"}, {"free_bytes": True}, {"model": 7}, {"pythons": None},
     {"packages": {"numpy": 2}}, {"folder": None}],
)  # fmt: skip
def test_a_hello_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match="board: says of itself what cannot be"):
        parse_hello("board", said() | change)
    with pytest.raises(DeviceError):
        parse_hello("board", {})


def test_what_a_device_says_is_cut_and_cannot_steer_a_terminal() -> None:
    hello = parse_hello("board", said(model="\x1b[2J" + "x" * 9999))
    assert "\x1b" not in hello.board.name
    assert len(hello.board.name) <= 256


def test_no_word_of_a_device_becomes_a_part_of_a_command() -> None:
    names = ["python3.11", "python3; rm -rf ~"]
    hello = parse_hello("board", said(python=[3, 9, 2], pythons=names))
    (need,) = needs(hello)
    assert hello.pythons == ("python3.11",)
    assert "rm" not in need.remedy.split()


def test_where_environments_cannot_be_made_the_remedy_begins_with_that() -> None:
    (need,) = needs(parse_hello("pi", said(packages={"numpy": "2"}, venv=False)))
    assert need.remedy.startswith("sudo apt install python3-venv && python3 -m venv ")


def test_the_agent_speaks_the_python_of_old_boards() -> None:
    source = Path(agent.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    modules = {
        alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)
        for alias in node.names
    }  # fmt: skip
    assert not any(name.startswith(("edgecnn", "numpy")) for name in modules)
