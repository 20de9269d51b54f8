"""What is on a device, what is missing, and what would make its numbers steadier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.devices import agent
from edgecnn.devices.facts import facts_of
from edgecnn.devices.find import find_device, open_device
from edgecnn.devices.hello import Hello, parse_hello
from edgecnn.devices.needs import Need, needs
from edgecnn.devices.remote import RemoteDevice
from edgecnn.runtime.cache import cache_dir

_PIN = "sudo jetson_clocks   # until the next boot; clocks that move make numbers that scatter"
_MODES = "nvpmodel -p --verbose   # lists the modes; then: sudo nvpmodel -m ID"
_GOVERNOR = (
    "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    "   # until the next boot"
)
_SUPPLY = "a stronger power supply: the voltage has been too low since boot"


@dataclass(frozen=True, slots=True)
class Checkup:
    """A device as it was found; `facts` is None where the runtime cannot run there.

    `advice` are commands for a person to run: nothing here changes a clock or a mode.
    """

    name: str
    where: str
    hello: Hello
    facts: Mapping[str, Any] | None
    needs: tuple[Need, ...]
    advice: tuple[str, ...]


def check_device(name: str) -> Checkup:
    """Look at a device; raises DeviceError where it cannot be reached."""
    known = find_device(name)
    where = "this machine" if known is None else str(known.address)
    with open_device(name) as device:
        hello = device.hello if isinstance(device, RemoteDevice) else _local_hello()
        missing = needs(hello)
        works = all(need.stops != "everything" for need in missing)
        facts = facts_of(device) if works else None
    return Checkup(name, where, hello, facts, missing, tuple(_advice(facts or {})))


def _local_hello() -> Hello:
    return parse_hello("local", agent.hello(str(cache_dir())))


def _advice(facts: Mapping[str, Any]) -> list[str]:
    board = facts.get("board")
    kind = board.get("kind") if isinstance(board, dict) else None
    throttling = facts.get("throttling")
    found = []
    if kind == "jetson" and facts.get("clocks_pinned") is False:
        found.append(_PIN)
    if kind == "jetson" and not str(facts.get("power_mode", "")).startswith("MAXN"):
        found.append(_MODES)
    if kind == "raspberry-pi" and facts.get("governor") not in ("performance", None):
        found.append(_GOVERNOR)
    if isinstance(throttling, dict) and throttling.get("under-voltage since boot"):
        found.append(_SUPPLY)
    return found
