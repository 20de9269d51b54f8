"""The device side of a profile, spoken to as a profiler does: JSON lines to a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.contract import Contract
from edgecnn.contract_json import to_json
from edgecnn.errors import DataError, FileError
from edgecnn.onnxfile import read_contract
from edgecnn.runtime.worker import read_frames, write_frames
from tests.profiling.toys import SIDE, color_picture, write_color_net


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worker")
    write_color_net(folder / "net.onnx", provenance={"model": "net", "precision": "int8"})
    write_color_net(folder / "open.onnx", batch="N")
    write_frames(folder / "frames.npz", [color_picture(index) for index in range(3)])
    return folder


def answers(folder: Path, *arguments: str, requests: str = "") -> tuple[int, list[Any]]:
    """Run a worker to its end; its exit code and what it said on stdout."""
    argv = [sys.executable, "-m", "edgecnn.runtime", "worker", *arguments]
    argv += ["--inputs", str(folder / "frames.npz")]
    done = subprocess.run(argv, input=requests, capture_output=True, text=True, timeout=60)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_it_loads_a_file_says_what_it_is_and_times_it_when_told(folder: Path) -> None:
    requests = '{"run": 7, "warmup": 2}\n{"run": 1}\n{"quit": true}\n{"run": 99}\n'
    code, said = answers(folder, str(folder / "net.onnx"), "--threads", "1", requests=requests)
    ready, first, second = said[0]["ready"], said[1], said[2]
    assert code == 0
    assert len(said) == 3, "nothing is run after quit"
    assert ready["precision"] == "int8"
    assert (ready["batch"], ready["threads"], ready["boundary"]) == (1, 1, "engine")
    assert ready["facts"]["engine"].startswith("onnxruntime")
    assert ready["facts"]["preprocess"] in ("NumPy", "compiled helper")
    assert len(ready["sha256"]) == 64
    assert ready["load_ms"] > 0 < ready["first_run_ms"]
    assert len(first["latencies_ns"]) == 7
    assert len(second["latencies_ns"]) == 1
    assert sum(first["latencies_ns"]) <= first["wall_ns"]


@pytest.mark.parametrize("boundary", ["engine", "frame"])
def test_it_tells_its_layers_and_goes_on(boundary: str, folder: Path) -> None:
    requests = '{"layers": true}\n{"run": 1}\n'
    arguments = (str(folder / "net.onnx"), "--threads", "1", "--boundary", boundary)
    _, (_, told, visit) = answers(folder, *arguments, requests=requests)
    kinds = [each["layer"]["kind"] for each in told["layers"]]
    assert any("GlobalAveragePool" in kind for kind in kinds)
    assert all(each["time_ms"] > 0 for each in told["layers"])
    assert told["run_ms"] > 0 < told["profiled_ms"]
    assert len(visit["latencies_ns"]) == 1


def test_layers_of_an_open_batch_are_those_of_the_batch_that_is_measured(folder: Path) -> None:
    arguments = (str(folder / "open.onnx"), "--threads", "1", "--batch", "4")
    _, (_, told) = answers(folder, *arguments, requests='{"layers": true}\n')
    assert told["layers"]


def test_memory_is_what_this_process_held_not_its_parent(folder: Path) -> None:
    ballast = np.ones(25_000_000)  # 200 MB here must not show there
    _, said = answers(folder, str(folder / "net.onnx"), requests='{"run": 1}\n')
    ready = said[0]["ready"]
    assert ready["rss_before_load_bytes"] < ballast.nbytes / 2
    assert ready["rss_before_load_bytes"] < ready["peak_rss_bytes"] <= said[1]["peak_rss_bytes"]


def test_what_it_does_not_understand_is_answered_and_survived(folder: Path) -> None:
    strange = (
        '{"rest_s": 0}', '{"rest_s": "1"}', '{"rest_s": 1e9}', '{"rest_s": 1, "run": 1}',
        '{"layers": false}', '{"layers": true, "run": 1}', "garbage", "[]", "{}", '{"run": 0}',
        '{"run": "7"}', '{"run": true}', '{"run": 1e3}', '{"run": 1, "warmup": -1}',
        '{"run": 10000000}', '{"run": 1, "shell": "ls"}', "",
    )  # fmt: skip
    requests = "\n".join((*strange, '{"run": 1}', ""))
    code, said = answers(folder, str(folder / "net.onnx"), requests=requests)
    _, *refused, last = said
    assert [each["error"]["type"] for each in refused] == ["UsageError"] * len(strange)
    assert len(last["latencies_ns"]) == 1
    assert code == 0


def test_a_frame_is_timed_from_its_pixels_to_its_classes(folder: Path) -> None:
    _, said = answers(
        folder, str(folder / "net.onnx"), "--boundary", "frame", requests='{"run": 20}\n'
    )
    _, bare = answers(folder, str(folder / "net.onnx"), requests='{"run": 20}\n')
    assert said[0]["ready"]["boundary"] == "frame"
    assert min(said[1]["latencies_ns"]) > min(bare[1]["latencies_ns"])


def test_throughput_keeps_several_runs_under_way(folder: Path) -> None:
    net, two = str(folder / "net.onnx"), ("--boundary", "throughput", "--streams", "2")
    _, said = answers(folder, net, *two, requests='{"run": 200}\n{"run": 3}\n')
    ready, visit, short = said[0]["ready"], said[1], said[2]
    assert (ready["boundary"], ready["streams"], ready["threads"]) == ("throughput", 2, 1)
    assert len(visit["latencies_ns"]) == 200
    assert len(short["latencies_ns"]) == 3
    assert sum(visit["latencies_ns"]) < 2 * visit["wall_ns"]


def test_it_rests_when_told_and_says_how_the_device_fares(folder: Path) -> None:
    requests = '{"rest_s": 0.05}\n{"run": 1}\n'
    _, said = answers(folder, str(folder / "net.onnx"), requests=requests)
    ready, rest, visit = said[0]["ready"], said[1], said[2]
    assert rest["wall_ns"] >= 50_000_000
    for answer in (rest, visit):
        assert {"clock_mhz", "temperature_c", "throttle_counts", "held_back"} <= set(
            answer["state"]
        )
    assert bool(ready["energy"]) != bool(ready["no_energy"]), "a sensor, or why there is none"
    assert (rest["energy_j"] is None) == (not ready["energy"])


def test_an_open_batch_takes_what_is_asked(folder: Path) -> None:
    _, said = answers(folder, str(folder / "open.onnx"), "--batch", "4", requests='{"run": 1}\n')
    assert said[0]["ready"]["batch"] == 4


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["net.onnx", "--batch", "4"], "UsageError", "batches of 1, not 4"),
        (["open.onnx", "--batch", "4", "--boundary", "frame"], "UsageError", "one frame"),
        (["net.onnx", "--engine", "abacus"], "UsageError", "abacus"),
        (["net.onnx", "--streams", "2"], "UsageError", "one run at a time, not 2"),
        (["nowhere.onnx"], "FileError", "nowhere.onnx"),
        (["frames.npz"], "ModelError", "frames.npz"),
    ],
)
def test_what_it_cannot_do_is_one_line_of_error(
    folder: Path, arguments: list[str], kind: str, told: str
) -> None:
    file, *options = arguments
    code, said = answers(folder, str(folder / file), *options)
    assert code in (1, 2)
    assert len(said) == 1
    assert said[0]["error"]["type"] == kind
    assert told in said[0]["error"]["message"]
    assert said[0]["error"]["hint"]


def test_a_contract_may_come_beside_the_file(folder: Path) -> None:
    known = read_contract(folder / "net.onnx")
    other = Contract(
        known.inputs, known.outputs, known.preprocess, provenance={"precision": "fp32"}
    )
    (folder / "contract.json").write_text(to_json(other))
    beside = str(folder / "contract.json")
    _, said = answers(folder, str(folder / "net.onnx"), "--contract", beside)
    assert said[0]["ready"]["precision"] == "fp32"


def test_libraries_that_print_do_not_break_the_protocol() -> None:
    script = (
        "import os, sys; from edgecnn.runtime.__main__ import main;"
        "import edgecnn.runtime.__main__ as m;"
        "noisy = lambda root: (os.write(1, b'native noise\\n'), print('noise'), {'ok': 1})[2];"
        "m.device_facts = noisy;"
        "sys.exit(main(['facts']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout) == {"ok": 1}
    assert "native noise" in done.stderr


def test_frames_of_any_size_come_back_as_they_were(tmp_path: Path) -> None:
    frames = [color_picture(1, side=SIDE), color_picture(2, side=40)]
    write_frames(tmp_path / "frames.npz", frames)
    back = list(read_frames(tmp_path / "frames.npz"))
    assert all(np.array_equal(a, b) for a, b in zip(frames, back, strict=True))


def test_frames_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        list(read_frames(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError):
        list(read_frames(tmp_path / "text.npz"))
    np.savez(tmp_path / "floats.npz", frame=np.zeros((4, 4, 3)))
    with pytest.raises(DataError, match="not uint8"):
        list(read_frames(tmp_path / "floats.npz"))
