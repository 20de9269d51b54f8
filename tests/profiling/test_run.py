"""Measuring real files in real processes on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Contract
from edgecnn.devices import LocalDevice
from edgecnn.devices.process import Process
from edgecnn.errors import DataError, EngineError, ModelError, UsageError
from edgecnn.onnxfile import read_contract
from edgecnn.profiling.plan import Plan
from edgecnn.profiling.run import Options, profile_files
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
        planned=plans.append,
        progress=lambda done, total: progress.append((done, total)),
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
        assert profile.energy == {"unavailable": "no power sensor is read"}
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
        profile_files([light, heavy], device=device, images=IMAGES, options=QUICK, progress=kill)
    assert not device.left_behind


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from edgecnn.devices import LocalDevice
from edgecnn.profiling.run import Options, profile_files
files = [Path(name) for name in sys.argv[1:]]
profile_files(files, device=LocalDevice(), images=[np.zeros((20, 20, 3), np.uint8)],
              options=Options(threads=1, precision=1e-9, time_limit_s=500),
              progress=lambda done, total: print(done, flush=True))
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
