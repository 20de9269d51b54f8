"""Our end of a worker, against devices that say what they should not."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgecnn.devices.process import Process
from edgecnn.devices.worker import Worker
from edgecnn.errors import DeviceError, EngineError, ModelError

READY = {
    "sha256": "ab", "engine": "toy", "facts": {"engine": "toy 1"}, "precision": "fp32",
    "boundary": "engine", "batch": 1, "threads": 1, "emulated": None, "load_ms": 1.5,
    "first_run_ms": 0.5, "warmup_runs": 10, "run_ns": 1000, "rss_before_load_bytes": 1,
    "peak_rss_bytes": 2, "streams": 1, "energy": [], "no_energy": "no power sensor",
}  # fmt: skip
STATE = {"throttle_counts": {"CPU heat": 1}, "held_back": [], "clock_mhz": 2400.0}
VISIT = {
    "latencies_ns": [5, 6], "wall_ns": 20, "cpu_ns": 15, "peak_rss_bytes": 3, "waited_ns": None,
    "energy_j": None, "state": STATE,
}  # fmt: skip


class ScriptedDevice:
    """A device that answers each request with the next of some lines, then ends."""

    name = "scripted"

    def __init__(self, *lines: object) -> None:
        self.lines = [line if isinstance(line, str) else json.dumps(line) for line in lines]

    def run(self, verb: Sequence[str], *, timeout_s: float) -> str:
        raise NotImplementedError

    def start(self, verb: Sequence[str]) -> Process:
        script = (
            "import sys; lines = sys.argv[1:]; print(lines.pop(0), flush=True)\n"
            "while lines and sys.stdin.readline(): print(lines.pop(0), flush=True)\n"
            "print('the board went dark', file=sys.stderr)"
        )
        return Process((sys.executable, "-c", script, *self.lines))

    def push(self, local: Path) -> str:
        return str(local)

    def pull(self, remote: str, local: Path) -> None:
        raise NotImplementedError


def worker(*lines: object) -> Worker:
    return Worker(ScriptedDevice(*lines), (), file="net.onnx")


def test_a_visit_brings_the_latencies() -> None:
    with worker({"ready": READY}, VISIT) as there:
        assert there.ready.run_ns == 1000
        assert there.visit(runs=2, warmup=0).latencies_ns == (5, 6)


@pytest.mark.parametrize(
    "line",
    ["hello", "[]", "7", {"ready": {}}, {"ready": READY | {"batch": "1"}},
     {"ready": READY | {"run_ns": -5}}, {"ready": READY | {"facts": None}},
     {"ready": READY | {"load_ms": float("nan")}}, {"ready": READY | {"first_run_ms": -1.0}},
     {"ready": READY | {"load_ms": 10**400}}],
)  # fmt: skip
def test_garbage_instead_of_ready_is_said_to_be_garbage(line: object) -> None:
    with pytest.raises(DeviceError, match="nobody can read"):
        worker(line)


@pytest.mark.parametrize(
    "line",
    ["{", {"latencies_ns": [5]}, VISIT | {"latencies_ns": [5, "6"]},
     VISIT | {"latencies_ns": [5, 0]}, VISIT | {"latencies_ns": [5, 6, 7]},
     VISIT | {"state": None}, VISIT | {"state": {}}, VISIT | {"energy_j": "much"},
     VISIT | {"state": STATE | {"throttle_counts": {"CPU heat": "often"}}},
     json.dumps(VISIT).replace('"cpu_ns": 15', '"cpu_ns": 1e999'),
     VISIT | {"energy_j": float("inf")}, VISIT | {"state": STATE | {"held_back": 7}},
     VISIT | {"state": STATE | {"clock_mhz": "fast"}},
     VISIT | {"state": STATE | {"headroom_c": [1]}}],
)  # fmt: skip
def test_garbage_instead_of_latencies_is_never_taken_for_some(line: object) -> None:
    with worker({"ready": READY}, line) as there, pytest.raises(DeviceError, match=r"net\.onnx"):
        there.visit(runs=2, warmup=0)


def test_of_a_state_only_what_is_known_is_kept() -> None:
    spoiled = STATE | {"junk": "x" * 999, "held_back": ["\x1b[2J" + "h" * 999] * 99}
    with worker({"ready": READY}, VISIT | {"state": spoiled}) as there:
        state = there.visit(runs=2, warmup=0).state
    assert state.keys() == STATE.keys()
    assert state["clock_mhz"] == 2400.0
    assert len(state["held_back"]) <= 32
    assert all(len(cause) <= 80 and cause.isprintable() for cause in state["held_back"])


def test_a_rest_brings_what_the_device_spent_and_how_it_fares() -> None:
    rest = {"wall_ns": 10_000_000, "energy_j": 0.02, "state": STATE}
    with worker({"ready": READY}, rest) as there:
        found = there.rest(0.01)
    assert (found.wall_ns, found.energy_j) == (10_000_000, 0.02)
    assert found.state["throttle_counts"] == {"CPU heat": 1}


def test_its_own_errors_are_raised_as_such() -> None:
    said = {"error": {"type": "ModelError", "message": "net.onnx: torn", "hint": "mend it"}}
    with pytest.raises(ModelError, match="torn") as raised:
        worker(said)
    assert raised.value.hint == "mend it"


def test_a_hash_for_a_name_is_told_as_the_file_that_it_is_here() -> None:
    there = f"/home/pi/.cache/edgecnn/remote/{'0a' * 32}"
    said = {"error": {"type": "ModelError", "message": f"{there}: torn", "hint": f"see {there}"}}
    with pytest.raises(ModelError, match=r"^net\.onnx: torn$") as raised:
        worker(said)
    assert raised.value.hint == "see net.onnx"


@pytest.mark.parametrize("kind", ["SystemExit", "_DAMAGED", None, "EdgecnnErrorX"])
def test_no_word_of_a_device_chooses_what_is_raised_but_our_errors(kind: object) -> None:
    with pytest.raises(EngineError, match="boo"):
        worker({"error": {"type": kind, "message": "boo", "hint": "h"}})


def test_a_worker_that_dies_leaves_its_last_words_and_no_process() -> None:
    with worker({"ready": READY}) as there:
        with pytest.raises(EngineError, match="the board went dark"):
            there.visit(runs=2, warmup=0)
        pid = there.pid
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (VISIT | {"latencies_ns": [5, 25]}, "a run longer than the 20 ns"),
        (VISIT | {"wall_ns": 10**15}, "clock cannot be trusted"),
    ],
)
def test_times_that_cannot_have_passed_are_refused(line: object, words: str) -> None:
    with worker({"ready": READY}, line) as there, pytest.raises(DeviceError, match=words):
        there.visit(runs=2, warmup=0)


@pytest.mark.parametrize("field", ["load_ms", "first_run_ms", "run_ns"])
def test_a_device_that_was_ready_before_it_was_asked_is_refused(field: str) -> None:
    with pytest.raises(DeviceError, match="clock cannot be trusted"):
        worker({"ready": READY | {field: 10**15}})
