"""Which board this is, from the device tree and the release file of NVIDIA's Linux for Tegra.

A board names itself: `model` for people, `compatible` for programs, from the module to the chip
(`nvidia,p3767-0005 nvidia,tegra234`, `raspberrypi,5-model-b brcm,bcm2712`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecnn.runtime.sysfs import read

Kind = Literal["jetson", "raspberry-pi", "x86", "arm", "other"]

_RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)")
_DEVICE_TREES = (Path("proc/device-tree"), Path("sys/firmware/devicetree/base"))

# The number of a module in `compatible` -> its series. Several are in use for one series.
_MODULES = {
    "p3448": "Nano", "p3450": "Nano", "p3310": "TX2", "p3489": "TX2", "p3636": "TX2 NX",
    "p2888": "AGX Xavier", "p2972": "AGX Xavier", "p3668": "Xavier NX",
    "p3701": "AGX Orin", "p3834": "Thor", "p3971": "Thor",
}  # fmt: skip
# Orin NX and Orin Nano share one number; the variant parts them.
_P3767 = {"0000": "Orin NX", "0001": "Orin NX", "0003": "Orin Nano", "0004": "Orin Nano",
          "0005": "Orin Nano"}  # fmt: skip
_CHIPS = {
    "tegra210": "Nano", "tegra186": "TX2", "tegra194": "Xavier", "tegra234": "Orin",
    "tegra264": "Thor",
}  # fmt: skip

# Linux for Tegra -> JetPack, the first that fits; NVIDIA's JetPack archive. A revision that is not
# here is told by its major version alone.
_JETPACKS = (
    ("39.2", "7.2"), ("38.4", "7.1"), ("38.2", "7.0"),
    ("36.5.0", "6.2.2"), ("36.4.4", "6.2.1"), ("36.4.7", "6.2.1"), ("36.4.3", "6.2"),
    ("36.4.0", "6.1"), ("36.3", "6.0"), ("36.2", "6.0 DP"),
    ("35.6.4", "5.1.6"), ("35.6.2", "5.1.5"), ("35.6.1", "5.1.5"), ("35.6.0", "5.1.4"),
    ("35.5", "5.1.3"), ("35.4", "5.1.2"), ("35.3", "5.1.1"), ("35.2", "5.1"), ("35.1", "5.0.2"),
    ("32.7", "4.6.x"), ("32.6", "4.6"), ("32.5", "4.5.x"), ("32.4", "4.4.x"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """What a machine is. `series` and `jetpack` are those of a Jetson, '' where they are unknown.

    `name` is what the board calls itself, `chip` the last part of its `compatible`, `l4t` the
    version of Linux for Tegra.
    """

    kind: Kind
    name: str
    chip: str = ""
    series: str = ""
    l4t: str = ""
    jetpack: str = ""

    @property
    def title(self) -> str:
        """The board in a few words: `Jetson Orin Nano, JetPack 6.2`."""
        if self.kind != "jetson":
            return self.name
        pack = f", JetPack {self.jetpack}" if self.jetpack else ""
        return f"Jetson {self.series}{pack}" if self.series else f"{self.name}{pack}"


def read_board(root: Path = Path("/"), *, machine: str) -> Board:
    """The board whose files lie under `root`; `machine` is what `platform.machine()` says."""
    model, compatible = (
        next(filter(None, (read(root / tree / name) for tree in _DEVICE_TREES)), "")
        for name in ("model", "compatible")
    )
    return identify(
        model=model or read(root / "sys/class/dmi/id/product_name"),
        compatible=compatible,
        tegra_release=read(root / "etc/nv_tegra_release"),
        machine=machine,
    )


def identify(*, model: str, compatible: str, tegra_release: str, machine: str) -> Board:
    """The board that these texts describe; `compatible` has NULs or spaces between its parts."""
    parts = compatible.replace("\0", " ").split()
    chip = parts[-1].rpartition(",")[2] if parts else ""
    name = model or machine
    if chip.startswith("tegra") or tegra_release:
        l4t = _l4t(tegra_release)
        return Board("jetson", name, chip, _series(parts, chip), l4t, _jetpack(l4t))
    if "raspberry pi" in model.casefold() or any(part.startswith("raspberrypi,") for part in parts):
        return Board("raspberry-pi", name, chip)
    return Board(_kind(machine), name, chip)


def _kind(machine: str) -> Kind:
    if machine in ("x86_64", "AMD64", "i686"):
        return "x86"
    return "arm" if machine.startswith(("aarch64", "arm")) else "other"


def _series(parts: list[str], chip: str) -> str:
    for number, variant in re.findall(r"(p\d{4})-(\d{4})", " ".join(parts)):
        if number == "p3767" and variant in _P3767:
            return _P3767[variant]
        if number in _MODULES:
            return _MODULES[number]
    return _CHIPS.get(chip, "")


def _l4t(release: str) -> str:
    found = _RELEASE.search(release)
    return f"{found[1]}.{found[2]}" if found else ""


def _jetpack(l4t: str) -> str:
    """The JetPack of a release; a later revision than the known ones is told by its major."""
    for start, jetpack in _JETPACKS:
        if l4t == start or l4t.startswith(f"{start}."):
            return jetpack
    major = l4t.partition(".")[0]
    return {"32": "4.x", "35": "5.x", "36": "6.x", "38": "7.x", "39": "7.x"}.get(major, "")
