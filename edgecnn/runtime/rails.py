"""What a Jetson's module draws, rail by rail: an INA3221 stands in each of its supplies."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

from edgecnn.runtime.sysfs import read

Rail = tuple[Path, ...]
"""The files that tell the power of a rail: one in mW, or one in mV and one in mA."""

_SUM_CHANNEL = 7  # the sum of the shunt voltages, no rail
_NO_RAIL = ("", "NC")
_WHOLE = ("VDD_IN", "POM_5V_IN", "VIN")  # what the whole module draws


def find_rails(root: Path) -> dict[str, Rail]:
    """The rails that answer, by name: of hwmon, as JetPack 5 has it and later, or iio of JetPack 4.

    `root` is where the file system starts.
    """
    found = {**dict(_of_hwmon(root)), **dict(_of_iio(root))}
    return {
        name: rail
        for name, rail in found.items()
        if name not in _NO_RAIL and rail_mw(rail) is not None
    }


def rail_mw(rail: Rail) -> float | None:
    """What a rail draws now in mW, None where its sensor does not answer."""
    try:
        return math.prod(float(read(path)) / 1000 for path in rail) * 1000
    except ValueError:
        return None


def feeding(names: Collection[str]) -> tuple[str, ...]:
    """Of rails those whose sum is the whole module's: its input, or all where it has none."""
    whole = next((name for name in _WHOLE if name in names), None)
    return (whole,) if whole else tuple(names)


def _of_hwmon(root: Path) -> Iterator[tuple[str, Rail]]:
    # Numbers of buses and hwmons differ from board to board: only labels say what is what.
    for label in sorted((root / "sys/class/hwmon").glob("hwmon*/in*_label")):
        number = label.name.removeprefix("in").removesuffix("_label")
        is_rail = number.isdecimal() and int(number) != _SUM_CHANNEL
        if is_rail and read(label.with_name("name")) == "ina3221":
            volts, amperes = f"in{number}_input", f"curr{number}_input"
            yield read(label), (label.with_name(volts), label.with_name(amperes))


def _of_iio(root: Path) -> Iterator[tuple[str, Rail]]:
    chips = root / "sys/bus/i2c/drivers/ina3221x"
    for label in sorted(chips.glob("*/iio:device*/rail_name_*")):
        number = label.name.removeprefix("rail_name_")
        yield read(label), (label.with_name(f"in_power{number}_input"),)
