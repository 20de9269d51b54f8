"""How a device fares and what it spends, read from trees of files like those of real boards."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgecnn.runtime.energy import find_meters
from edgecnn.runtime.state import device_state
from edgecnn.runtime.usage import peak_rss_bytes, run_delay_ns
from tests.runtime import trees

ZONE = "sys/class/thermal/thermal_zone0"
RAPL = "sys/class/powercap"
RAILS = "sys/class/hwmon/hwmon2"


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def test_throttle_events_are_counted_by_their_cause(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    board = tree(
        tmp_path,
        {
            f"{cpu}/cpu0/thermal_throttle/core_throttle_count": "3",
            f"{cpu}/cpu1/thermal_throttle/core_throttle_count": "4",
            "sys/class/hwmon/hwmon1/name": "soctherm_oc",
            "sys/class/hwmon/hwmon1/oc1_event_cnt": "2",
            "sys/class/hwmon/hwmon1/oc3_event_cnt": "9",
            "sys/class/hwmon/hwmon2/name": "other",
            "sys/class/hwmon/hwmon2/oc1_event_cnt": "100",
            "sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 6",
        },
    )
    assert device_state(board)["throttle_counts"] == {
        "CPU heat": 7, "under-voltage": 2, "over-current": 9, "CPU quota": 6,
    }  # fmt: skip


def test_a_pi_is_asked_for_its_limits_after_each_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = tree(tmp_path / "pi", {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0"})
    other = tree(tmp_path / "other", {"proc/device-tree/model": "Radxa ROCK 5B"})
    tool = tmp_path / "bin" / "vcgencmd"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho throttled=0x50001\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    state = device_state(pi)
    assert state["held_back"] == ["under-voltage"], "met now"
    assert {name for name, met in state["throttle_counts"].items() if met} == {
        "under-voltage", "throttled",
    }  # fmt: skip
    assert device_state(other)["throttle_counts"] == {}


def test_what_slows_the_processor_down_now_is_named_and_a_fan_is_not(tmp_path: Path) -> None:
    cooling = "sys/class/thermal/cooling_device"
    board = tree(
        tmp_path,
        {
            f"{cooling}0/type": "pwm-fan", f"{cooling}0/cur_state": "3",
            f"{cooling}1/type": "cpufreq-cpu0", f"{cooling}1/cur_state": "2",
            f"{cooling}2/type": "Processor", f"{cooling}2/cur_state": "0",
        },
    )  # fmt: skip
    assert device_state(board)["held_back"] == ["cpufreq-cpu0"]


def test_headroom_is_what_the_tightest_zone_lacks_to_its_own_limit(tmp_path: Path) -> None:
    board = tree(
        tmp_path,
        {
            f"{ZONE}/temp": "61000",
            f"{ZONE}/trip_point_0_type": "active", f"{ZONE}/trip_point_0_temp": "50000",
            f"{ZONE}/trip_point_1_type": "passive", f"{ZONE}/trip_point_1_temp": "85000",
            f"{ZONE}/trip_point_2_type": "critical", f"{ZONE}/trip_point_2_temp": "105000",
            "sys/class/thermal/thermal_zone1/temp": "30000",
            "sys/class/thermal/thermal_zone1/trip_point_0_type": "hot",
            "sys/class/thermal/thermal_zone1/trip_point_0_temp": "50000",
            "sys/class/thermal/thermal_zone2/temp": "-256000",
            "sys/class/thermal/thermal_zone2/trip_point_0_type": "hot",
            "sys/class/thermal/thermal_zone2/trip_point_0_temp": "10000",
        },
    )  # fmt: skip
    state = device_state(board)
    assert (state["temperature_c"], state["headroom_c"]) == (61, 20)


def test_where_nothing_is_told_nothing_is_invented(tmp_path: Path) -> None:
    state = device_state(tmp_path)
    assert state["throttle_counts"] == {}
    assert state["held_back"] == []
    assert state["headroom_c"] is None
    assert state["clock_mhz"].startswith("unavailable: ")
    assert state["temperature_c"].startswith("unavailable: ")


def test_rapl_counts_packages_and_starts_again_at_its_range(tmp_path: Path) -> None:
    board = tree(
        tmp_path,
        {
            f"{RAPL}/intel-rapl:0/name": "package-0",
            f"{RAPL}/intel-rapl:0/energy_uj": "9000000",
            f"{RAPL}/intel-rapl:0/max_energy_range_uj": "10000000",
            f"{RAPL}/intel-rapl:0:0/name": "core",
            f"{RAPL}/intel-rapl:0:0/energy_uj": "1",
            f"{RAPL}/intel-rapl:0:0/max_energy_range_uj": "10000000",
        },
    )
    meters = find_meters(board)
    assert not isinstance(meters, str)
    (meter,) = meters
    assert meter.source == "CPU package-0 (RAPL)"
    meter.start()
    (board / RAPL / "intel-rapl:0/energy_uj").write_text("9500000\n")
    assert meter.stop() == pytest.approx(0.5)
    meter.start()
    (board / RAPL / "intel-rapl:0/energy_uj").write_text("200000\n")
    assert meter.stop() == pytest.approx(0.7)


def test_the_rail_that_feeds_a_module_is_its_power(tmp_path: Path) -> None:
    board = tree(
        tmp_path,
        {
            f"{RAILS}/name": "ina3221",
            f"{RAILS}/in1_label": "VDD_IN", f"{RAILS}/in1_input": "5000",
            f"{RAILS}/curr1_input": "2000",
            f"{RAILS}/in2_label": "VDD_CPU_GPU_CV", f"{RAILS}/in2_input": "5000",
            f"{RAILS}/curr2_input": "500",
            f"{RAILS}/in7_label": "sum of shunt voltages", f"{RAILS}/in7_input": "1",
        },
    )  # fmt: skip
    meters = find_meters(board)
    assert not isinstance(meters, str)
    (meter,) = meters
    assert meter.source == "VDD_IN (INA3221)"
    outer_s = time.monotonic()
    meter.start()
    inner_s = time.monotonic()
    time.sleep(0.2)
    inner_s = time.monotonic() - inner_s
    joules = meter.stop()
    assert joules is not None
    assert 10 * inner_s <= joules * 1.001
    assert joules <= 10 * (time.monotonic() - outer_s)


def test_without_such_a_rail_all_of_them_are(tmp_path: Path) -> None:
    board = tree(
        tmp_path,
        {
            f"{RAILS}/name": "ina3221",
            f"{RAILS}/in1_label": "GPU", f"{RAILS}/in1_input": "5000", f"{RAILS}/curr1_input": "1",
            f"{RAILS}/in2_label": "CPU", f"{RAILS}/in2_input": "5000", f"{RAILS}/curr2_input": "1",
            f"{RAILS}/in3_label": "NC", f"{RAILS}/in3_input": "5000", f"{RAILS}/curr3_input": "1",
        },
    )  # fmt: skip
    meters = find_meters(board)
    assert [meter.source for meter in meters if not isinstance(meter, str)] == [
        "GPU + CPU (INA3221)"
    ]


@pytest.mark.parametrize(
    ("board", "source", "watts"),
    [
        (trees.ORIN_NANO, "VDD_IN (INA3221)", 4.66),
        (trees.AGX_ORIN, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (INA3221)", 13.9),
        (trees.NANO, "POM_5V_IN (INA3221)", 2.0),
    ],
)
def test_energy_is_counted_of_the_rails_that_the_facts_add_up(
    board: trees.Tree, source: str, watts: float, tmp_path: Path
) -> None:
    meters = find_meters(trees.plant(tmp_path, board))
    assert not isinstance(meters, str)
    (meter,) = meters
    assert meter.source == source
    before_s = time.monotonic()
    meter.start()
    time.sleep(0.1)
    joules = meter.stop()
    assert joules is not None
    assert 0.1 * watts * 0.99 < joules < (time.monotonic() - before_s) * watts * 1.01


def test_a_sensor_that_falls_silent_counts_no_zero(tmp_path: Path) -> None:
    silent = {f"{RAPL}/intel-rapl:0/name": "package-0",
              f"{RAPL}/intel-rapl:0/energy_uj": "9000000",
              f"{RAPL}/intel-rapl:0/max_energy_range_uj": "10000000"}  # fmt: skip
    board = trees.plant(tmp_path / "pc", silent)
    jetson = trees.plant(tmp_path / "jetson", trees.ORIN_NANO)
    files = (board / RAPL / "intel-rapl:0/energy_uj", jetson / "sys/class/hwmon/hwmon1/in1_input")
    for root, file in zip((board, jetson), files, strict=True):
        meters = find_meters(root)
        assert not isinstance(meters, str)
        (meter,) = meters
        meter.start()
        file.unlink()
        assert meter.stop() is None
        meter.start()
        assert meter.stop() is None


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no power sensor"),
        ({"proc/cpuinfo": "flags\t\t: avx2 hypervisor"}, "virtual machine"),
        ({f"{RAPL}/intel-rapl:0/name": "package-0"}, "RAPL's counters are for root alone"),
    ],
)
def test_why_there_is_no_energy_is_said(files: dict[str, str], reason: str, tmp_path: Path) -> None:
    assert find_meters(tree(tmp_path, files)) == reason


def test_what_this_process_uses_is_counted() -> None:
    assert peak_rss_bytes() > 1_000_000
    waited_ns = run_delay_ns()
    assert waited_ns is None or waited_ns >= 0
