"""What a device says of itself, read from trees of files like those of real boards."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runtime.facts import (
    core_count,
    cpu_flags,
    device_facts,
    device_name,
    emulator,
    model_name,
)


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def raspberry_pi(tmp_path: Path) -> Path:
    core = "processor\t: {}\nFeatures\t: fp asimd crc32 asimdhp asimddp\nCPU part\t: 0xd0b\n\n"
    return tree(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/cpuinfo": "".join(core.format(index) for index in range(4)),
            "proc/meminfo": "MemTotal:        8245248 kB\nMemFree: 1 kB\nMemAvailable: 99 kB\n"
            "SwapTotal: 40 kB\nSwapFree: 30 kB\n",
            "proc/loadavg": "0.42 0.30 0.20 1/200 1234\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor": "performance\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
            "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "2400000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "2400000\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
        },
    )


@pytest.fixture
def virtual_machine(tmp_path: Path) -> Path:
    flags = "fpu avx2 fma avx512f avx512_vnni hypervisor"
    return tree(tmp_path, {"proc/cpuinfo": f"model name\t: AMD EPYC\nflags\t\t: {flags}\n"})


def test_a_raspberry_pi_is_recognised(raspberry_pi: Path) -> None:
    facts = device_facts(raspberry_pi)
    assert facts["model"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["cpu"] == "Cortex-A76"
    assert facts["isa"] == ["asimd", "asimddp", "asimdhp"]
    assert facts["memory_bytes"] == 8_245_248 * 1024
    assert facts["memory_available_bytes"] == 99 * 1024
    assert facts["swap_used_bytes"] == 10 * 1024
    assert facts["load_1min"] == 0.42


def test_a_device_has_the_name_of_its_gpus_too(raspberry_pi: Path) -> None:
    assert device_name(raspberry_pi) == "Raspberry Pi 5 Model B Rev 1.0"
    gpus = {
        "01": "Model: \t\t NVIDIA GeForce RTX 3060\nIRQ:   \t\t 97\nGPU UUID: \t GPU-1\n",
        "02": "",
    }
    for number, text in gpus.items():
        place = f"proc/driver/nvidia/gpus/0000:{number}:00.0/information"
        tree(raspberry_pi, {place: text})
    wanted = "Raspberry Pi 5 Model B Rev 1.0, NVIDIA GeForce RTX 3060, GPU"
    assert device_name(raspberry_pi) == wanted


def test_its_clocks_and_its_temperature_are_read(raspberry_pi: Path) -> None:
    facts = device_facts(raspberry_pi)
    assert facts["governor"] == "ondemand, performance"
    assert facts["clock_mhz"] == 2400
    assert facts["clock_max_mhz"] == 2400
    assert facts["temperature_c"] == 48.312


def test_the_hottest_zone_counts_and_one_that_is_off_does_not(raspberry_pi: Path) -> None:
    tree(
        raspberry_pi,
        {
            "sys/class/thermal/thermal_zone1/temp": "-256000\n",
            "sys/class/thermal/thermal_zone2/temp": "61000\n",
            "sys/class/thermal/thermal_zone3/temp": "no number\n",
        },
    )
    assert device_facts(raspberry_pi)["temperature_c"] == 61


def test_a_virtual_machine_says_why_it_has_no_clock(virtual_machine: Path) -> None:
    facts = device_facts(virtual_machine)
    for name in ("governor", "clock_mhz", "clock_max_mhz", "temperature_c"):
        assert facts[name] == "unavailable: virtual machine"


def test_what_is_missing_is_never_a_number(tmp_path: Path) -> None:
    facts = device_facts(tmp_path)
    missing = (
        "model",
        "memory_bytes",
        "swap_used_bytes",
        "governor",
        "clock_mhz",
        "temperature_c",
        "load_1min",
    )
    for name in missing:
        assert str(facts[name]).startswith("unavailable: "), name
    assert facts["isa"] == []
    assert 0 not in facts.values() or facts["virtual_machine"] is False


def test_cpu_flags_are_those_that_engines_look_for(virtual_machine: Path) -> None:
    assert cpu_flags(virtual_machine) == {"avx2", "fma", "avx512f", "avx512_vnni"}


def test_the_model_also_comes_from_dmi(tmp_path: Path) -> None:
    tree(tmp_path, {"sys/class/dmi/id/product_name": "NUC13ANHi7\n"})
    assert model_name(tmp_path) == "NUC13ANHi7"


def test_qemu_is_seen_through(tmp_path: Path) -> None:
    assert emulator(tmp_path) is None
    (tmp_path / "proc/thread-self").mkdir(parents=True)
    (tmp_path / "proc/thread-self/exe").symlink_to("/usr/bin/qemu-aarch64")
    assert emulator(tmp_path) == "qemu-aarch64"


@pytest.fixture
def jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    compatible = "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0"
    return tree(tmp_path, {"proc/device-tree/compatible": compatible})


def test_a_jetson_tells_its_power_mode(jetson: Path) -> None:
    nvpmodel = jetson / "tools" / "nvpmodel"
    nvpmodel.write_text("#!/bin/sh\necho 'NV Power Mode: 15W'\necho 0\n")
    nvpmodel.chmod(0o755)
    assert device_facts(jetson)["power_mode"] == "15W"


def test_a_jetson_without_nvpmodel_says_so(jetson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(jetson / "tools"))
    assert device_facts(jetson)["power_mode"].startswith("unavailable: nvpmodel")


def test_other_boards_have_no_power_mode(raspberry_pi: Path) -> None:
    assert "power_mode" not in device_facts(raspberry_pi)


def test_this_machine_answers_in_plain_json() -> None:
    facts: dict[str, Any] = json.loads(json.dumps(device_facts(), allow_nan=False))
    assert facts["cores"] == core_count() >= 1
    assert facts["versions"]["numpy"]
