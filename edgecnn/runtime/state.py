"""How a device fares while it works: clock, heat, and what it was held back by.

Read after each block of runs, so it must be quick: a few small files of the kernel. A Raspberry Pi
tells its limits only to a program of its own, which takes some ms after the runs.
`root` is where the file system starts; tests give it a tree of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgecnn.runtime.facts import celsius, clock_mhz, model_name, temperature_c
from edgecnn.runtime.sensors import SINCE_BOOT, pi_throttling, tegra_throttling
from edgecnn.runtime.sysfs import read

_ROOT = Path("/")

# Cooling devices that slow the processor down; the others are fans.
_SLOWING = ("cpufreq", "thermal-cpufreq", "Processor", "devfreq", "thermal-devfreq", "gpu")
_HOT_TRIPS = ("passive", "hot", "critical")


def device_state(root: Path = _ROOT) -> dict[str, Any]:
    """What changes while the device works: plain JSON values.

    Keys: clock_mhz and temperature_c as in `device_facts`; throttle_counts, which only grow, by
    what holds the device back; held_back, what slows it down at this moment; headroom_c, how much
    hotter it may become before the kernel slows it down, or None where no zone tells.
    """
    now, since_boot = _pi_limits(root)
    return {
        "clock_mhz": clock_mhz(root),
        "temperature_c": temperature_c(root),
        "throttle_counts": _throttle_counts(root) | since_boot,
        "held_back": sorted({*_held_back(root), *(limit for limit, met in now.items() if met)}),
        "headroom_c": _headroom_c(root),
    }


def _throttle_counts(root: Path) -> dict[str, int]:
    """x86's thermal throttling, the SoC's over-current events, and this group's CPU quota."""
    counts: dict[str, int] = {}
    for name, path in _counters(root):
        text = read(path)
        if text.isdecimal():
            counts[name] = counts.get(name, 0) + int(text)
    counts |= tegra_throttling(root)
    quota = dict(_pairs(read(root / "sys/fs/cgroup/cpu.stat"))).get("nr_throttled", "")
    return counts | ({"CPU quota": int(quota)} if quota.isdecimal() else {})


def _pi_limits(root: Path) -> tuple[dict[str, int], dict[str, int]]:
    """By cause, 1 for each limit of a Raspberry Pi that is met now, and for each since boot."""
    if not model_name(root).startswith("Raspberry Pi"):
        return {}, {}
    limits = pi_throttling()
    since = {name.removesuffix(SINCE_BOOT): bit for name, bit in limits.items()
             if name.endswith(SINCE_BOOT)}  # fmt: skip
    return {name: limits[name] for name in since}, since


def _counters(root: Path) -> Iterator[tuple[str, Path]]:
    for core in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle"):
        yield "CPU heat", core / "core_throttle_count"


def _held_back(root: Path) -> Iterator[str]:
    for device in (root / "sys/class/thermal").glob("cooling_device*"):
        kind = read(device / "type")
        if kind.startswith(_SLOWING) and read(device / "cur_state") not in ("", "0"):
            yield kind


def _headroom_c(root: Path) -> float | None:
    """The least that any zone lacks to its own lowest limit."""
    zones = (root / "sys/class/thermal").glob("thermal_zone*")
    found = [room for zone in zones if (room := _room_c(zone)) is not None]
    return min(found, default=None)


def _room_c(zone: Path) -> float | None:
    limits = [
        int(limit) / 1000
        for kind in zone.glob("trip_point_*_type")
        if read(kind) in _HOT_TRIPS
        and (limit := read(kind.with_name(kind.name.replace("_type", "_temp")))).isdecimal()
    ]
    now = celsius(read(zone / "temp"))
    return min(limits) - now if limits and now is not None else None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        yield key, value
