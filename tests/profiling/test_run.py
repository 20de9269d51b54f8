"""Measuring real files in real processes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Contract
from edgecnn.devices import LocalDevice
from edgecnn.devices.process import Process
from edgecnn.errors import DataError, EngineError, ModelError, UsageError
from edgecnn.onnxfile import read_contract
from edgecnn.profiling.compare import latency
from edgecnn.profiling.energy import energy_mj
from edgecnn.profiling.journal import Journal
from edgecnn.profiling.plan import Plan
from edgecnn.profiling.run import Listener, Options, profile_files
from edgecnn.profiling.statistics import MIN_BLOCKS
from tests.profiling.toys import color_picture, write_color_net

IMAGES = [color_picture(index) for index in range(3)]
QUICK = Options(threads=1, precision=1.0, time_limit_s=1)


class WatchedDevice(LocalDevice):
    """This machine, with an eye on the processes it starts."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    def start(self, verb: Sequence[str]) -> Process:
        self.started.append(super().start(verb))
        return self.started[-1]

    @property
    def left_behind(self) -> list[int]:
        return [each.pid for each in self.started if Path(f"/proc/{each.pid}").exists()]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_color_net(folder / "light.onnx", provenance={"model": "light"})


@pytest.fixture(scope="module")
def heavy(light: Path) -> Path:
    said = {"model": "heavy", "precision": "int8"}
    return write_color_net(light.with_name("heavy.onnx"), work=60, provenance=said)


def test_files_are_measured_in_the_order_given(light: Path, heavy: Path) -> None:
    device, plans = WatchedDevice(), list[Plan]()
    progress: list[tuple[int, int]] = []
    profiles = profile_files(
        [heavy, light],
        device=device,
        images=IMAGES,
        options=QUICK,
        listener=Listener(
            planned=plans.append, progress=lambda done, total: progress.append((done, total))
        ),
    )
    slow, fast = profiles
    assert (slow.contract.name, fast.contract.name) == ("heavy", "light")
    assert (slow.precision, fast.precision) == ("int8", "fp32")
    assert np.median(slow.measurement.latencies_ns) > np.median(fast.measurement.latencies_ns)
    for profile in profiles:
        measured = profile.measurement
        assert sum(measured.block_runs) == len(measured.latencies_ns)
        assert [block.size for block in measured.blocks] == list(measured.block_runs)
        assert len(measured.block_runs) == progress[-1][0] == progress[-1][1]
        assert measured.facts["graph"] == "cached", "building an engine is not part of loading it"
        assert profile.peak_rss_bytes > profile.rss_before_load_bytes > 0
        assert profile.size_bytes == Path(profile.file).stat().st_size
        assert "unavailable" in profile.energy or profile.energy["sources"]
        assert len(measured.around) == len(measured.block_runs)
        assert [block.started_s for block in measured.around] == sorted(
            block.started_s for block in measured.around
        )
    assert len(plans) == 1
    assert not device.left_behind


def test_a_file_without_contract_is_measured_with_the_one_that_is_given(light: Path) -> None:
    from edgecnn.onnxfile import read_header

    known = read_contract(light)
    bare = write_color_net(light.with_name("bare.onnx"))
    own = Contract(known.inputs, known.outputs, known.preprocess, provenance={"model": "theirs"})
    options = Options(threads=1, precision=1.0, time_limit_s=1, contracts={bare: own})
    (profile,) = profile_files([bare], device=LocalDevice(), images=IMAGES, options=options)
    assert profile.contract.name == "theirs"
    assert read_header(bare)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (Options(batch=7), UsageError),
        (Options(engine="abacus"), UsageError),
        (Options(precision=0), UsageError),
        (Options(time_limit_s=-1), UsageError),
    ],
)
def test_what_cannot_be_measured_is_refused(
    light: Path, options: Options, error: type[Exception]
) -> None:
    device = WatchedDevice()
    with pytest.raises(error):
        profile_files([light], device=device, images=IMAGES, options=options)
    assert not device.left_behind


def test_nothing_to_measure_is_refused(light: Path) -> None:
    with pytest.raises(UsageError):
        profile_files([], device=LocalDevice(), images=IMAGES)
    with pytest.raises(DataError):
        profile_files([light], device=LocalDevice(), images=[])


def test_one_broken_file_among_good_ones_leaves_no_process(light: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(light.read_bytes()[:200])
    device = WatchedDevice()
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        profile_files([light, broken], device=device, images=IMAGES, options=QUICK)
    assert not device.left_behind


def test_a_worker_that_is_killed_ends_the_profile_with_its_name(light: Path, heavy: Path) -> None:
    device = WatchedDevice()

    def kill(done: int, total: int) -> None:
        subprocess.run(["kill", "-9", str(device.started[-1].pid)], check=True)

    with pytest.raises(EngineError, match=r"heavy\.onnx: the process that measured it died.*KILL"):
        profile_files(
            [light, heavy],
            device=device,
            images=IMAGES,
            options=QUICK,
            listener=Listener(progress=kill),
        )
    assert not device.left_behind


def test_throughput_counts_images_of_all_streams(light: Path) -> None:
    options = Options(boundary="throughput", streams=2, precision=1.0, time_limit_s=1)
    (profile,) = profile_files([light], device=LocalDevice(), images=IMAGES, options=options)
    measured, found = profile.measurement, latency(profile)
    assert (measured.boundary, measured.streams, measured.threads) == ("throughput", 2, 1)
    assert found.images_per_s is not None
    wall_s = sum(block.wall_ns for block in measured.around) / 1e9
    runs = len(measured.latencies_ns)
    assert found.images_per_s.value == pytest.approx(runs / wall_s, rel=0.5)


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
    rail = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon2"
    board = tree(
        tmp_path,
        {f"{rail}/in1_label": "VDD_IN\n", f"{rail}/in1_input": "5000\n",
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


# Interrupted and gone on with


def kept_by(journal: Journal) -> int:
    return len(journal.blocks())


def test_every_block_is_kept_at_once_and_not_measured_again(light: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state" / "profile.state", files=1)

    def stop(done: int, total: int) -> None:
        assert kept_by(journal) == done
        if done == 2:
            raise KeyboardInterrupt

    measure = partial(
        profile_files, [light], device=LocalDevice(), images=IMAGES, options=QUICK, journal=journal
    )
    with pytest.raises(KeyboardInterrupt):
        measure(listener=Listener(progress=stop))
    kept = journal.blocks()
    resumed: list[int] = []
    (profile,) = measure(listener=Listener(resumed=resumed.append))
    assert resumed == [2]
    first = [value for (visit,) in kept for value in visit.latencies_ns]
    assert list(profile.measurement.latencies_ns[: len(first)]) == first
    assert len(profile.measurement.block_runs) >= MIN_BLOCKS
    assert not journal.path.exists(), "all is measured: nothing to go on with"


def test_ctrl_c_keeps_what_is_enough_to_judge_by(light: Path) -> None:
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    listener = Listener(progress=stop, interrupted=lambda done, total: told.append((done, total)))
    options = Options(threads=1, precision=1e-9, time_limit_s=500)
    (profile,) = profile_files(
        [light], device=LocalDevice(), images=IMAGES, options=options, listener=listener
    )
    assert len(profile.measurement.block_runs) == 5
    assert told[0][0] == 5 < told[0][1]


@pytest.mark.parametrize("damage", ["", "[", "[[]]\n", '{"a": 1}\n', "[{}]\n", "\x00\xff"])
def test_a_damaged_journal_counts_as_none(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.state"
    path.write_text(damage, encoding="latin-1")
    assert Journal(path, files=1).blocks() == []


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from edgecnn.devices import LocalDevice
from edgecnn.profiling.run import Listener, Options, profile_files
files = [Path(name) for name in sys.argv[1:]]
profile_files(files, device=LocalDevice(), images=[np.zeros((20, 20, 3), np.uint8)],
              options=Options(threads=1, precision=1e-9, time_limit_s=500),
              listener=Listener(progress=lambda done, total: print(done, flush=True)))
"""


def test_ctrl_c_ends_everything(light: Path, heavy: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(light), str(heavy)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().strip() == b"1", "it measures"
    children = _children(parent.pid)
    assert len(children) == 2
    parent.send_signal(signal.SIGINT)
    _, told = parent.communicate(timeout=20)
    assert b"KeyboardInterrupt" in told
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_workers_go_when_their_parent_is_killed(light: Path, heavy: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(light), str(heavy)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    children = _children(parent.pid)
    parent.kill()
    parent.communicate()
    deadline_s = time.monotonic() + 20
    while any(_runs(pid) for pid in children):
        assert time.monotonic() < deadline_s, "a worker outlived the profiler"
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
