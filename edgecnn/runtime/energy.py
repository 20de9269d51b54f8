"""Energy from the sensors that a device has: RAPL, NVML, INA3221.

A meter is started, something runs, and stopping it gives the joules in between. RAPL and NVML
count energy themselves; an INA3221 shows power, which a thread reads 20 times a second and sums up.
A sensor that does not answer gives None, never 0. `root` is where the file system starts; tests
give it a tree of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from edgecnn.runtime.facts import is_virtual
from edgecnn.runtime.rails import Rail, feeding, find_rails, rail_mw
from edgecnn.runtime.sysfs import read

_ROOT = Path("/")

_PERIOD_S = 0.05
_NVML = "libnvidia-ml.so.1"


class Meter(Protocol):
    """Something that counts joules between `start` and `stop`."""

    @property
    def source(self) -> str:
        """What is measured and by which sensor, as `CPU package (RAPL)`."""

    def start(self) -> None:
        """Begin to count."""

    def stop(self) -> float | None:
        """The joules since `start`."""


class Counter:
    """A file that counts microjoules and starts again after `range_uj`."""

    def __init__(self, source: str, path: Path, range_uj: int) -> None:
        self.source = source
        self._path = path
        self._range_uj = range_uj
        self._start_uj: int | None = None

    def start(self) -> None:
        """Begin to count."""
        self._start_uj = _number(self._path)

    def stop(self) -> float | None:
        """The joules since `start`."""
        end_uj = _number(self._path)
        if end_uj is None or self._start_uj is None:
            return None
        spent_uj = end_uj - self._start_uj
        return (spent_uj if spent_uj >= 0 else spent_uj + self._range_uj) / 1e6


class Rails:
    """The power of rails of an INA3221, summed up over time by a thread."""

    def __init__(self, source: str, rails: Sequence[Rail]) -> None:
        self.source = source
        self._rails = tuple(rails)
        self._done = threading.Event()
        self._thread = threading.Thread()
        self._joules: float | None = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._done.clear()
        self._joules = 0.0
        begun = time.monotonic(), self._watts()
        self._thread = threading.Thread(target=self._sum_up, args=begun, daemon=True)
        self._thread.start()

    def stop(self) -> float | None:
        """The joules since `start`."""
        self._done.set()
        self._thread.join()
        return self._joules

    def _sum_up(self, then_s: float, then_w: float | None) -> None:
        joules, ended = 0.0, False
        while then_w is not None and not ended:
            ended = self._done.wait(_PERIOD_S)
            now_s, now_w = time.monotonic(), self._watts()
            joules += (now_s - then_s) * (then_w + (now_w or 0.0)) / 2
            then_s, then_w = now_s, now_w
        self._joules = None if then_w is None else joules

    def _watts(self) -> float | None:
        milliwatts = total(rail_mw(rail) for rail in self._rails)
        return None if milliwatts is None else milliwatts / 1e3


class Nvml:
    """The energy counter of the first NVIDIA GPU (Volta and later), in millijoules."""

    source = "GPU (NVML)"

    def __init__(self, library: ctypes.CDLL, handle: ctypes.c_void_p) -> None:
        self._library = library
        self._handle = handle
        self._start_mj: int | None = None

    def start(self) -> None:
        """Begin to count."""
        self._start_mj = self._read()

    def stop(self) -> float | None:
        """The joules since `start`."""
        end_mj = self._read()
        if end_mj is None or self._start_mj is None:
            return None
        return (end_mj - self._start_mj) / 1e3

    def _read(self) -> int | None:
        value, ask = ctypes.c_ulonglong(), self._library.nvmlDeviceGetTotalEnergyConsumption
        failed = ask(self._handle, ctypes.byref(value))
        return None if failed else value.value


def total(values: Iterable[float | None]) -> float | None:
    """All together; None where one of them is not known, or there are none."""
    given = tuple(values)
    known = [value for value in given if value is not None]
    return sum(known) if known and len(known) == len(given) else None


def find_meters(root: Path = _ROOT, *, gpu: bool = False) -> tuple[Meter, ...] | str:
    """The meters of this device, or why there is none.

    `gpu` asks for the first NVIDIA GPU's, too. The rails of a board include its processors, so
    they stand alone.
    """
    if rails := _rails(root):
        return (rails,)
    found: list[Meter] = [*_rapl(root)]
    if gpu and (card := _nvml()):
        found.append(card)
    return tuple(found) or _why_none(root)


def _rapl(root: Path) -> list[Counter]:
    """One counter a CPU package; finer zones are parts of these."""
    counters = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        path, limit = zone / "energy_uj", read(zone / "max_energy_range_uj")
        if zone.name.count(":") == 1 and read(path).isdecimal() and limit.isdecimal():
            counters.append(Counter(f"CPU {read(zone / 'name')} (RAPL)", path, int(limit)))
    return counters


def _rails(root: Path) -> Rails | None:
    """The rail that feeds the module where there is one, else the sum of all."""
    found = find_rails(root)
    names = feeding(found)
    if not names:
        return None
    return Rails(f"{' + '.join(names)} (INA3221)", [found[name] for name in names])


def _nvml() -> Nvml | None:
    """The first GPU's counter where the driver is there and the card has one."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_NVML)
        handle, value = ctypes.c_void_p(), ctypes.c_ulonglong()
        failed = (
            library.nvmlInit_v2()
            or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle))
            or library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value))
        )
        return None if failed else Nvml(library, handle)
    return None


def _why_none(root: Path) -> str:
    if any((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        return "RAPL's counters are for root alone"
    return "virtual machine" if is_virtual(root) else "no power sensor"


def _number(path: Path) -> int | None:
    text = read(path)
    return int(text) if text.removeprefix("-").isdecimal() else None
