"""What this device is and what state it is in, from the kernel's own files.

A value that cannot be had reads "unavailable: reason", never 0: a report must not turn what nobody
measured into a number. `root` is where the file system starts; tests give it a tree of their own.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.runtime.sysfs import read as _read

_ROOT = Path("/")

# What the kernels of inference engines ask for.
_USEFUL_FLAGS = frozenset({
    "sse4_1", "avx", "avx2", "fma", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16",
    "neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "svei8mm",
})  # fmt: skip

# /proc/cpuinfo's "CPU part" of Arm Ltd. (implementer 0x41): Linux arch/arm64 cputype.h.
_ARM_PARTS = {
    "0xd03": "Cortex-A53", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77", "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE", "0xd40": "Neoverse-V1",
    "0xd49": "Neoverse-N2", "0xd4f": "Neoverse-V2", "0xd83": "Neoverse-V3AE",
}  # fmt: skip

_PACKAGES = ("edgecnn", "numpy", "onnxruntime")
_SANE_CELSIUS = (-60.0, 150.0)  # a zone that is switched off reads -256
_COMMAND_TIMEOUT_S = 5.0


def device_facts(root: Path = _ROOT) -> dict[str, Any]:
    """The device and its state now: plain JSON values.

    Keys: machine, model, cpu, cores (usable by this process), isa, memory_bytes,
    memory_available_bytes, swap_used_bytes, kernel, libc, virtual_machine, emulated, governor,
    clock_mhz, clock_max_mhz, temperature_c (the hottest zone), load_1min, versions; power_mode on
    a Jetson, and what `board_facts` adds.
    """
    # A camera app needs none of this: it starts with the processor's flags alone.
    from edgecnn.runtime.board import read_board
    from edgecnn.runtime.sensors import board_facts

    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "model": model_name(root),
        "cpu": _cpu_name(root),
        "cores": core_count(),
        "isa": sorted(cpu_flags(root)),
        "memory_bytes": _memory_bytes(root, "MemTotal"),
        "memory_available_bytes": _memory_bytes(root, "MemAvailable"),
        "swap_used_bytes": _swap_used_bytes(root),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or _unavailable("not the GNU one"),
        "virtual_machine": is_virtual(root),
        "emulated": emulator(root),
        "governor": _governor(root),
        "clock_mhz": clock_mhz(root),
        "clock_max_mhz": clock_mhz(root, "scaling_max_freq"),
        "temperature_c": temperature_c(root),
        "load_1min": _load_1min(root),
        "versions": _versions(),
    }
    board = read_board(root, machine=facts["machine"])
    mode = {"power_mode": _power_mode()} if board.kind == "jetson" else {}
    return {**facts, **mode, **board_facts(board, root)}


def core_count() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_flags(root: Path = _ROOT) -> frozenset[str]:
    """The instruction sets that matter to inference, in the kernel's words; empty if unknown."""
    info = _cpuinfo(root)
    words = f"{info.get('flags', '')} {info.get('Features', '')}".split()
    return _USEFUL_FLAGS.intersection(words)


def model_name(root: Path = _ROOT) -> str:
    """The board's or machine's name, as `Raspberry Pi 5 Model B Rev 1.0`."""
    for place in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        if name := _read(root / place):
            return name
    product = _read(root / "sys/class/dmi/id/product_name")
    return product or _unavailable("no device tree, no DMI")


def device_name(root: Path = _ROOT) -> str:
    """The machine and its NVIDIA GPUs, for which a choice of engines is true.

    The GPUs are those that their driver lists in a file: CUDA would take its time at every start.
    """
    information = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    return ", ".join((model_name(root), *map(_gpu_name, information)))


def _gpu_name(information: Path) -> str:
    lines = (line.partition(":") for line in _read(information).splitlines())
    return next((value.strip() for key, _, value in lines if key == "Model"), "GPU")


def is_virtual(root: Path = _ROOT) -> bool:
    """Whether a hypervisor says that it is there."""
    return "hypervisor" in _cpuinfo(root).get("flags", "").split()


def emulator(root: Path = _ROOT) -> str | None:
    """The emulator this process runs in (`qemu-aarch64`), or None on a real CPU.

    qemu-user fakes /proc/self/exe but not /proc/thread-self/exe.
    """
    try:
        name = (root / "proc/thread-self/exe").readlink().name
    except OSError:
        return None
    return name if name.startswith("qemu-") else None


def _cpu_name(root: Path) -> str:
    info = _cpuinfo(root)
    if name := info.get("model name"):
        return name
    part = info.get("CPU part", "")
    if name := _ARM_PARTS.get(part):
        return name
    return platform.processor() or _unavailable("the kernel does not name it")


def _cpuinfo(root: Path) -> Mapping[str, str]:
    """The first core of /proc/cpuinfo, but the last core's part: of a big.LITTLE pair the big."""
    found: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "CPU part":
            found[key.strip()] = value.strip()
        else:
            found.setdefault(key.strip(), value.strip())
    return found


def _memory_bytes(root: Path, key: str) -> int | str:
    for line in _read(root / "proc/meminfo").splitlines():
        words = line.split()
        if words[0] == f"{key}:":
            return int(words[1]) * 1024
    return _unavailable(f"no {key} in /proc/meminfo")


def _swap_used_bytes(root: Path) -> int | str:
    total, free = _memory_bytes(root, "SwapTotal"), _memory_bytes(root, "SwapFree")
    return total - free if isinstance(total, int) and isinstance(free, int) else str(total)


def _governor(root: Path) -> str:
    found = {_read(path) for path in _cpufreq(root, "scaling_governor")} - {""}
    return ", ".join(sorted(found)) or _unavailable(_no_cpufreq(root))


def clock_mhz(root: Path = _ROOT, name: str = "scaling_cur_freq") -> float | str:
    """The fastest core's clock now, or another one that cpufreq knows."""
    kilohertz = [int(text) for path in _cpufreq(root, name) if (text := _read(path)).isdecimal()]
    return max(kilohertz) / 1000 if kilohertz else _unavailable(_no_cpufreq(root))


def _cpufreq(root: Path, name: str) -> list[Path]:
    return sorted((root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/cpufreq/{name}"))


def _no_cpufreq(root: Path) -> str:
    return "virtual machine" if is_virtual(root) else "no cpufreq in the kernel"


def temperature_c(root: Path = _ROOT) -> float | str:
    """The hottest zone's temperature."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    found = [value for zone in zones if (value := celsius(_read(zone))) is not None]
    if found:
        return max(found)
    return _unavailable("virtual machine" if is_virtual(root) else "no thermal zone")


def celsius(text: str) -> float | None:
    """What a thermal zone reads, None where it is off or no zone."""
    try:
        value = int(text) / 1000
    except ValueError:
        return None
    return value if _SANE_CELSIUS[0] < value < _SANE_CELSIUS[1] else None


def _load_1min(root: Path) -> float | str:
    words = _read(root / "proc/loadavg").split()
    return float(words[0]) if words else _unavailable("no /proc/loadavg")


def _versions() -> dict[str, str]:
    import importlib.metadata  # it loads a parser of e-mail, which no camera app needs

    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = _unavailable("not installed")
    return versions


def _power_mode() -> str:
    """A Jetson's power mode; reading it needs no root, and nothing here ever sets it."""
    import subprocess

    try:
        done = subprocess.run(
            ("nvpmodel", "-q"), capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _unavailable(f"nvpmodel: {error}")
    for line in done.stdout.splitlines():
        if line.startswith("NV Power Mode:"):
            return line.partition(":")[2].strip()
    return _unavailable("nvpmodel does not say")


def _unavailable(reason: str) -> str:
    return f"unavailable: {reason}"
