"""From the word after `--device` to the device."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from edgecnn.devices.address import parse_address
from edgecnn.devices.boards import nearest_board
from edgecnn.devices.device import Device
from edgecnn.devices.known import Known, known_devices
from edgecnn.devices.local import LocalDevice
from edgecnn.devices.remote import Pushed, RemoteDevice
from edgecnn.devices.ssh import Ssh
from edgecnn.errors import DeviceError
from edgecnn.runtime.board import read_board


@contextmanager
def open_device(name: str, *, pushed: Pushed | None = None) -> Iterator[Device]:
    """The device of that name, open until the block ends; nothing runs there after it.

    `local`, `ssh://[user@]host[:port]`, or a name in the user's devices.toml; `jetson` is this
    machine where it is one. `pushed` hears of files that are brought there. Raises DeviceError
    where there is none of that name, or where it cannot be reached.
    """
    known = find_device(name)
    if known is None:
        yield LocalDevice()
        return
    transport = Ssh(known.address, name=known.name)
    try:
        yield RemoteDevice(transport, python=known.python, pushed=pushed)
    finally:
        transport.close()


def find_device(name: str) -> Known | None:
    """Where the device of that name is; None for this machine. Raises DeviceError, UsageError."""
    if name == "local":
        return None
    if "://" in name:
        return Known(name, parse_address(name))
    devices = {device.name: device for device in known_devices()}
    if name in devices:
        return devices[name]
    if name == "jetson" and _here_is_a_jetson():
        return None
    here = ", and this machine is not a Jetson" if name == "jetson" else ""
    raise DeviceError(f"there is no device named {name!r}{here}", hint=_ways_on(name, devices))


def _ways_on(name: str, devices: Iterable[str]) -> str:
    """What to do about a device that is not there: the nearest name, a new one, an estimate."""
    near = difflib.get_close_matches(name, devices, n=1)
    ways = [f"did you mean {near[0]}?"] if near else []
    ways.append(f"edgecnn devices add {name} ssh://user@host")
    if board := nearest_board(name):
        ways.append(f"or, without a board:  --device {board} --estimate")
    return "   ".join(ways)


def _here_is_a_jetson() -> bool:
    return read_board(machine=platform.machine()).kind == "jetson"
