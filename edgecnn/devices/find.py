"""From the word after `--device` to the device."""

from __future__ import annotations

import difflib
import json
import math
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from edgecnn.devices.address import parse_address
from edgecnn.devices.boards import nearest_board
from edgecnn.devices.device import Device
from edgecnn.devices.known import Known, known_devices
from edgecnn.devices.local import LocalDevice
from edgecnn.devices.remote import Pushed, RemoteDevice
from edgecnn.devices.ssh import Ssh
from edgecnn.errors import DeviceError
from edgecnn.runtime.board import read_board

_FACTS_TIMEOUT_S = 60.0
_MAX_FACTS = 1 << 16
_MAX_WORD = 512
_MAX_DEPTH = 4


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


def facts_of(device: Device) -> dict[str, Any]:
    """What a device is and what state it is in; raises DeviceError for an answer that is none.

    The answer is bounded, and its strings are cut and cleared of what could steer a terminal.
    """
    answer = device.run(["facts"], timeout_s=_FACTS_TIMEOUT_S)
    try:
        facts = json.loads(answer) if len(answer) <= _MAX_FACTS else None
    except (ValueError, RecursionError) as error:
        raise DeviceError(
            f"{device.name}: its facts are not JSON ({answer[:60]!r})", hint="run it with --debug"
        ) from error
    return checked_facts(device.name, facts)


def checked_facts(name: str, facts: object) -> dict[str, Any]:
    """What the device of that name says of itself, cleared; DeviceError where it cannot be so."""
    try:
        cleaned = _cleaned(facts, depth=0)
    except (ValueError, TypeError) as error:
        raise DeviceError(
            f"{name}: its facts cannot be ({error})", hint="run it with --debug"
        ) from error
    if not isinstance(cleaned, dict) or not _are_facts(cleaned):
        raise DeviceError(f"{name}: no facts in its answer", hint="run it with --debug")
    return cleaned


def _here_is_a_jetson() -> bool:
    return read_board(machine=platform.machine()).kind == "jetson"


def _cleaned(value: Any, *, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {_word(key): _cleaned(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, depth=depth + 1) for item in value]
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def _word(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_WORD])


def _are_facts(facts: dict[str, Any]) -> bool:
    """Whether the facts that reports work with are of their kind."""
    numbers = ("clock_mhz", "clock_max_mhz", "temperature_c", "load_1min", "memory_bytes")
    return (
        isinstance(facts.get("cores"), int)
        and isinstance(facts.get("isa"), list)
        and isinstance(facts.get("versions"), dict)
        and all(_is_number_or_reason(facts.get(name, 0)) for name in numbers)
    )


def _is_number_or_reason(value: object) -> bool:
    if isinstance(value, str):
        return value.startswith("unavailable: ")
    return isinstance(value, (int, float)) and not isinstance(value, bool)
