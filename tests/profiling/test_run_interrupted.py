"""Measuring that is interrupted, gone on with, or ended by force."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from edgecnn.devices import LocalDevice
from edgecnn.profiling.journal import Journal
from edgecnn.profiling.run import Listener, Options, profile_files
from edgecnn.profiling.statistics import MIN_BLOCKS
from tests.profiling.running import IMAGES, QUICK


@pytest.fixture(scope="module", autouse=True)
def own_cache(module_cache: None) -> None:
    """For all of these tests together."""


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
