"""Fifty ways in which a profile on a device goes wrong: each is told, and the device is clean."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgecnn.devices.find import open_device
from edgecnn.errors import EdgecnnError
from edgecnn.files import sha256_of
from edgecnn.profiling.records import Profile
from edgecnn.profiling.run import Options, profile_files
from tests.devices import stumble
from tests.devices.conftest import MakeDevice
from tests.devices.loopback import Loopback
from tests.profiling.toys import color_picture

OPTIONS = Options(threads=1, precision=1e-9, time_limit_s=2)
QUICK = ("cut up 4000", "full 20", "killed run 0.6", "half after 2", "an hour on after 400")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens on the way, or there: lines of shell, or arguments of the proxy."""

    name: str
    before: str = ""
    proxy: tuple[str, ...] = ()


def faults() -> list[Fault]:
    chance = random.Random(5)
    found = [Fault("cut up 4000", proxy=("up", "4000"))]
    for way, least, most in (("up", 2e3, 1.2e5), ("down", 2e3, 3e4)):
        for _ in range(9):
            count = round(math.exp(chance.uniform(math.log(least), math.log(most))))
            found.append(Fault(f"cut {way} {count}", proxy=(way, str(count))))
    found.append(Fault("stall up 40000", proxy=("up", "40000", "stall")))
    for blocks in (0, 1, 5, 20, 90):
        found.append(Fault(f"full {blocks}", before=f"ulimit -f {blocks}"))
    for verb in ("serve", "run"):
        for seconds in (0.05, 0.3, 0.6, 1.2, 2.0):
            kill = f"(sleep {seconds}; kill -9 $$) >/dev/null 2>&1 </dev/null &"
            text = f'[ "$3" != {verb} ] || {{ {kill} }}'
            found.append(Fault(f"killed {verb} {seconds}", before=text))
    for how, after in [
        *((how, after) for how in stumble.LINES for after in (0, 2)),
        *((how, after) for how in stumble.JUMPS for after in (1, 3, 400, 2500)),
        *((how, after) for how in stumble.YEARS for after in (0, 1)),
    ]:
        found.append(Fault(f"{how} after {after}", before=_stumbling(how, after)))
    return found


def _stumbling(how: str, after: int) -> str:
    words = f"export STUMBLE='{how}' STUMBLE_AFTER={after}"
    return f'{words} PYTHONPATH="$(dirname "$0")/stumble${{PYTHONPATH:+:$PYTHONPATH}}"'


FAULTS = faults()


def test_there_are_enough_faults() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 50
    assert {fault.name for fault in FAULTS}.issuperset(QUICK)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=fault.name, marks=() if fault.name in QUICK else pytest.mark.slow)
        for fault in FAULTS
    ],
)
def test_a_fault_is_told_and_leaves_nothing(
    fault: Fault, device: MakeDevice, net: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    board = device(before=fault.before, proxy=fault.proxy)
    _install_stumble(board)
    started_ns = time.monotonic_ns()
    try:
        check_numbers(measured(board, net), time.monotonic_ns() - started_ns)
    except EdgecnnError as error:
        assert str(error)
        assert error.hint
    assert board.settles(), board.running()
    assert "Traceback" not in capfd.readouterr().err
    for file in board.kept:
        assert file.suffix == ".part" or sha256_of(file) == file.name
    assert {path.name for path in board.cache.glob("*")} <= {"remote", "engines", "hashes"}


def test_what_a_cut_has_left_is_used_up_by_the_next_run(
    device: MakeDevice, net: Path, tmp_path: Path
) -> None:
    board = device(proxy=("up", "30000", str(tmp_path / "cut")))
    with pytest.raises(EdgecnnError):
        measured(board, net)
    assert board.settles()
    check_numbers(measured(board, net), 10**12)
    assert not [file for file in board.kept if file.suffix]


def measured(board: Loopback, net: Path) -> Profile:
    images = [color_picture(index) for index in range(3)]
    with open_device(board.name) as there:
        (found,) = profile_files([net], device=there, images=images, options=OPTIONS)
    return found


def check_numbers(profile: Profile, elapsed_ns: int) -> None:
    """No latency that cannot be: they add up to less than the whole took."""
    latencies_ns = profile.measurement.latencies_ns
    assert min(latencies_ns) > 0
    assert sum(latencies_ns) + 1e6 * (profile.load_ms + profile.first_run_ms) <= elapsed_ns


def _install_stumble(board: Loopback) -> None:
    folder = board.folder / "stumble"
    folder.mkdir()
    (folder / "sitecustomize.py").symlink_to(stumble.__file__)
