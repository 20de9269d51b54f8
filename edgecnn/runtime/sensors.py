"""What bounds a board's speed now: power, heat, clocks, and whether it throttles.

Read from sysfs, without root and without a change to anything. `root` is where the file system
starts; tests give it trees of their own. A value that is not there is left out by the readers and
told as "unavailable: reason" in the facts.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.runtime.board import Board
from edgecnn.runtime.rails import feeding, find_rails, rail_mw
from edgecnn.runtime.sysfs import read

_COMMAND_TIMEOUT_S = 5.0
_SANE_CELSIUS = (-60.0, 150.0)  # a zone that is switched off reads -256
_CONSTANT_ZONES = ("pmic",)  # it always reads 50 or 100
_GPU_NODES = (".gpu", ".ga10b", ".gv11b", ".gp10b", ".gm20b", "gpu-gpc-0")
_TEGRA_THROTTLING = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "over-current"}
# https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd
_PI_THROTTLING = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_PI_SINCE_BOOT = 16
SINCE_BOOT = " since boot"


def board_facts(board: Board, root: Path = Path("/")) -> dict[str, Any]:
    """Facts of a Jetson or a Raspberry Pi, as plain JSON values; empty for other machines.

    Keys: board; temperatures_c by zone, throttling (counts or flags by cause); of a Jetson also
    gpu_mhz, gpu_max_mhz, clocks_pinned, power_mw by rail, power_total_mw, power_rule.
    """
    if board.kind not in ("jetson", "raspberry-pi"):
        return {}
    facts: dict[str, Any] = {
        "board": {
            "kind": board.kind,
            "title": board.title,
            "chip": board.chip,
            "l4t": board.l4t,
            "jetpack": board.jetpack,
        },
        "temperatures_c": temperatures_c(root),
        "throttling": tegra_throttling(root) if board.kind == "jetson" else pi_throttling(),
    }
    return {**facts, **_jetson_facts(root)} if board.kind == "jetson" else facts


def _jetson_facts(root: Path) -> dict[str, Any]:
    gpu, rails = _gpu(root), power_mw(root)
    total, rule = total_power_mw(rails)
    nowhere = "unavailable: no GPU in devfreq"
    return {
        "gpu_mhz": _mhz(gpu, "cur_freq") if gpu else nowhere,
        "gpu_max_mhz": _mhz(gpu, "max_freq") if gpu else nowhere,
        "clocks_pinned": clocks_pinned(root),
        "power_mw": rails,
        "power_total_mw": total if rails else "unavailable: no power rail can be read",
        "power_rule": rule,
    }


def temperatures_c(root: Path = Path("/")) -> dict[str, float]:
    """Each thermal zone that is on, by its type."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name, value = read(zone / "type"), _number(zone / "temp")
        if value is None or name.casefold().startswith(_CONSTANT_ZONES):
            continue
        if _SANE_CELSIUS[0] < value / 1000 < _SANE_CELSIUS[1]:
            found[name or zone.name] = value / 1000
    return found


def power_mw(root: Path = Path("/")) -> dict[str, float]:
    """Power by rail."""
    told = {name: rail_mw(rail) for name, rail in find_rails(root).items()}
    return {name: milliwatts for name, milliwatts in told.items() if milliwatts is not None}


def total_power_mw(rails: Mapping[str, float]) -> tuple[float, str]:
    """What the module draws, and the rule by which: its input's rail, or the sum of all rails."""
    names = feeding(rails)
    rule = names[0] if len(names) == 1 else "sum of the rails"
    return sum(rails[name] for name in names), rule


def tegra_throttling(root: Path = Path("/")) -> dict[str, int]:
    """How often each over-current alarm has gone off since boot; a difference is what counts."""
    found = {}
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if read(chip / "name") != "soctherm_oc":
            continue
        for alarm, cause in _TEGRA_THROTTLING.items():
            count = _number(chip / f"{alarm}_event_cnt")
            if count is not None:
                found[cause] = int(count)
    return found


def pi_throttling() -> dict[str, int]:
    """1 for each limit that is met now, or was since boot (`... since boot`); empty if unknown."""
    said = _said("vcgencmd", "get_throttled").partition("=")[2]
    try:
        bits = int(said, 16)
    except ValueError:
        return {}
    now = {cause: bits >> bit & 1 for bit, cause in enumerate(_PI_THROTTLING)}
    since = {
        f"{cause}{SINCE_BOOT}": bits >> bit + _PI_SINCE_BOOT & 1
        for bit, cause in enumerate(_PI_THROTTLING)
    }
    return now | since


def clocks_pinned(root: Path = Path("/")) -> bool | str:
    """Whether `jetson_clocks` holds CPU and GPU at one clock: their least is their most."""
    folders = [path.parent for path in _cpus(root)]
    pairs = [(_number(cpu / "scaling_min_freq"), _number(cpu / "scaling_max_freq"))
             for cpu in folders]  # fmt: skip
    if gpu := _gpu(root):
        pairs.append((_number(gpu / "min_freq"), _number(gpu / "max_freq")))
    if not pairs or any(value is None for pair in pairs for value in pair):
        return "unavailable: the kernel does not tell all clocks"
    return all(least == most for least, most in pairs)


def _cpus(root: Path) -> list[Path]:
    return sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_max_freq"))


def _gpu(root: Path) -> Path | None:
    nodes = sorted((root / "sys/class/devfreq").glob("*"))
    return next((node for node in nodes if node.name.endswith(_GPU_NODES)), None)


def _mhz(node: Path, name: str) -> float | str:
    hertz = _number(node / name)
    return "unavailable: the kernel does not tell" if hertz is None else hertz / 1e6


def _number(path: Path) -> float | None:
    try:
        return float(read(path))
    except ValueError:
        return None


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
