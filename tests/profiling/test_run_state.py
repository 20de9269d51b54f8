"""The device's state while files are measured: heat, power, and others at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgecnn.devices import LocalDevice
from edgecnn.devices.process import Process
from edgecnn.profiling.energy import energy_mj
from edgecnn.profiling.plan import Plan
from edgecnn.profiling.run import Listener, Options, profile_files
from tests.profiling.running import IMAGES, QUICK, WatchedDevice


@pytest.fixture(scope="module", autouse=True)
def own_cache(module_cache: None) -> None:
    """For all of these tests together."""


class ElsewhereDevice(LocalDevice):
    """This machine, with the kernel's files of another one."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def start(self, verb: Sequence[str]) -> Process:
        script = (
            "import sys; from pathlib import Path; from edgecnn.runtime.__main__ import main;"
            "sys.exit(main(sys.argv[2:], root=Path(sys.argv[1])))"
        )
        return Process((sys.executable, "-c", script, str(self._root), *verb))


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


ZONE = "sys/class/thermal/thermal_zone0"
COUNTER = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"


def test_a_device_that_throttles_is_caught(light: Path, tmp_path: Path) -> None:
    board = tree(tmp_path, {COUNTER: "3\n", f"{ZONE}/temp": "61000\n"})

    def heat(done: int, total: int) -> None:
        (board / COUNTER).write_text(f"{3 + done}\n")

    (profile,) = profile_files(
        [light],
        device=ElsewhereDevice(board),
        images=IMAGES,
        options=QUICK,
        listener=Listener(progress=heat),
    )
    assert profile.state == "throttled"
    assert "CPU heat" in profile.why
    assert {block.state["temperature_c"] for block in profile.measurement.around} == {61}


def test_a_hot_device_is_left_to_cool_down_before_the_next_block(
    light: Path, tmp_path: Path
) -> None:
    trip = {f"{ZONE}/trip_point_0_type": "passive\n", f"{ZONE}/trip_point_0_temp": "85000\n"}
    board = tree(tmp_path, {**trip, f"{ZONE}/temp": "60000\n"})
    cooling = threading.Timer(0.5, lambda: (board / ZONE / "temp").write_text("70000\n"))

    def heat(done: int, total: int) -> None:
        if done == 2:
            (board / ZONE / "temp").write_text("84000\n")
            cooling.start()

    (profile,) = profile_files(
        [light],
        device=ElsewhereDevice(board),
        images=IMAGES,
        options=Options(threads=1, precision=1.0, time_limit_s=8),
        listener=Listener(progress=heat),
    )
    rested_s = [block.rested_s for block in profile.measurement.around]
    # The third block is the first that reads the heat, so the fourth one waits.
    assert rested_s[3] > 1
    assert rested_s[0] == rested_s[1] == rested_s[4] == 0


def test_energy_is_counted_gross_and_net_of_the_device_at_rest(heavy: Path, tmp_path: Path) -> None:
    rail = "sys/class/hwmon/hwmon2"
    board = tree(
        tmp_path,
        {f"{rail}/name": "ina3221\n",
         f"{rail}/in1_label": "VDD_IN\n", f"{rail}/in1_input": "5000\n",
         f"{rail}/curr1_input": "1000\n"},
    )  # fmt: skip
    (profile,) = profile_files(
        [heavy],
        device=ElsewhereDevice(board),
        images=IMAGES,
        options=Options(threads=1, precision=1.0, time_limit_s=3),
    )
    assert profile.energy["sources"] == ["VDD_IN (INA3221)"]
    assert profile.energy["idle_w"] == pytest.approx(5, rel=0.1)
    said = energy_mj(profile)
    wall_s = sum(block.wall_ns for block in profile.measurement.around) / 1e9
    each_mj = 5 * wall_s / len(profile.measurement.latencies_ns) * 1000
    assert said["gross"]["value"] == pytest.approx(each_mj, rel=0.3)
    assert said["net"]["low"] < 0.3 * each_mj, "the board draws as much at rest"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot pin processes")
def test_a_busy_process_beside_is_caught(heavy: Path) -> None:
    core, mine = min(os.sched_getaffinity(0)), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # workers inherit it, and so do the others
    spin = (sys.executable, "-c", "while True: pass")
    others = [subprocess.Popen(spin) for _ in range(3)]
    try:
        options = Options(threads=1, precision=1.0, time_limit_s=3)
        (profile,) = profile_files([heavy], device=LocalDevice(), images=IMAGES, options=options)
    finally:
        os.sched_setaffinity(0, mine)
        for other in others:
            other.kill()
            other.wait()
    assert profile.state == "throttled"
    assert "others took" in profile.why


def test_a_process_that_is_held_again_and_again_is_caught(heavy: Path) -> None:
    # As cpulimit does: stopped and continued, so that no counter of the kernel's tells of it.
    device, done = WatchedDevice(), threading.Event()

    def hold(pid: int) -> None:
        while not done.wait(0.02):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.02)
            os.kill(pid, signal.SIGCONT)

    holding: list[threading.Thread] = []

    def start(_: Plan) -> None:
        holding.append(threading.Thread(target=hold, args=(device.started[-1].pid,)))
        holding[0].start()

    def stop(blocks: int, total: int) -> None:
        if blocks == total:
            done.set()
            holding[0].join()

    options = Options(threads=1, precision=1.0, time_limit_s=3)
    (profile,) = profile_files(
        [heavy],
        device=device,
        images=IMAGES,
        options=options,
        listener=Listener(planned=start, progress=stop),
    )
    assert profile.state == "throttled"
    assert "others took" in profile.why
