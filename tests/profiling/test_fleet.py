"""Profiles and evaluations on a real Dask cluster, as a user asks for them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.cli.app import run
from edgecnn.datasets.labelled import open_labelled
from edgecnn.devices.fleet import open_fleet
from edgecnn.errors import DeviceError
from edgecnn.onnxfile import read_contract
from edgecnn.profiling import elsewhere
from edgecnn.profiling.accuracy import evaluate_file
from edgecnn.profiling.elsewhere import Loaded, Subject
from edgecnn.profiling.fleet import _alike, predictions_of_fleet
from tests.devices.dask_cluster import DaskCluster, WorkerProcess, dask_cluster
from tests.profiling.toys import write_color_net, write_pictures

LABELS = [index * 3 % 8 for index in range(45)]
QUICK = ("--precision", "1", "--time-limit", "1", "--threads", "1")


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        for _ in range(2):
            cluster.worker("board=1")
        cluster.awaits(2)
        yield cluster


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Every ninth picture shows another colour than its label says."""
    shown = [label if index % 9 else label ^ 1 for index, label in enumerate(LABELS)]
    return write_pictures(tmp_path / "pictures", LABELS, shown=shown)


@pytest.fixture
def nets(tmp_path: Path) -> list[Path]:
    """Of fixed and open batches: where runs are cut decides how they round."""
    batches: tuple[int | str, ...] = (1, "n", 3)
    return [
        write_color_net(tmp_path / f"{index}.onnx", batch=batch, work=index)
        for index, batch in enumerate(batches)
    ]


def evaluated(nets: list[Path], pictures: Path, *where: str) -> int:
    return run(["evaluate", *map(str, nets), "--data", str(pictures), *where, "--json"])


def test_shards_on_workers_give_the_very_counts_of_this_machine(
    dask: DaskCluster,
    nets: list[Path],
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elsewhere, "SHARD_BYTES", 1)  # 24 images each, as all three batches ask
    assert evaluated(nets, pictures) == 0
    here = json.loads(capsys.readouterr().out)["results"]
    assert evaluated(nets, pictures, "--fleet", dask.address) == 0
    there = json.loads(capsys.readouterr().out)["results"]
    assert {each.pop("device") for each in there} == {"fleet"}
    assert {each.pop("device") for each in here} == {"local"}
    assert there == here
    assert 0.5 < here[0]["top1"]["value"] / 100 < 1


@pytest.mark.slow
def test_a_budget_is_judged_on_the_cluster(
    dask: DaskCluster, nets: list[Path], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every look at a candidate, with the very counts of this machine."""
    quantize = ["quantize", str(nets[1]), "--calibration", "natural:16", "--force", "--json"]
    quantize += ["--effort", "fast", "--data", str(pictures), "--max-drop", "50"]
    assert run(quantize) == 0
    here = json.loads(capsys.readouterr().out)["accuracy"]
    assert run([*quantize, "--fleet", dask.address, "--device", "board"]) == 0
    there = json.loads(capsys.readouterr().out)["accuracy"]
    assert (here.pop("device"), there.pop("device")) == ("local", "board")
    assert there == here


def test_a_profile_comes_from_a_board_of_each_kind(
    dask: DaskCluster,
    nets: list[Path],
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = ["profile", *map(str, nets), "--data", str(pictures), *QUICK]
    fleet = ["--fleet", dask.address, "--device", "board"]
    assert run([*profile, *fleet, "-o", "report.html", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["device"]["name"] == "board"
    assert [each["file"] for each in document["profiles"]] == list(map(str, nets))
    assert {each["accuracy"]["device"] for each in document["profiles"]} == {"board"}
    assert not any("Accuracy is that of" in warning for warning in document["warnings"])
    assert Path("report.html").exists()
    assert run([*profile, *fleet, "--device", "moon"]) == 1
    assert "no worker has the resource 'moon'; there are board" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--fleet", "tcp://127.0.0.1:1"],
        ["--fleet", "tcp://127.0.0.1:1", "--device", "board", "--estimate"],
        ["--fleet", "tcp://10.0.0.1:1", "--device", "board"],
        ["--device", "local", "--allow-plain-tcp"],
    ],
)
def test_what_makes_no_sense_is_told_at_once(words: list[str], nets: list[Path]) -> None:
    assert run(["profile", str(nets[0]), *words]) == 2


def test_workers_that_are_not_alike_give_no_accuracy() -> None:
    def loaded(isa: str) -> Loaded:
        return Loaded(
            "ab", "toy", {"engine": "toy 1", "machine": "x86_64", "isa": isa}, "fp32", None
        )

    assert _alike([loaded("avx2"), loaded("avx2")], "fleet")
    with pytest.raises(DeviceError, match=r"not alike \(avx2 and sse\)") as raised:
        _alike([loaded("avx2"), loaded("sse")], "fleet")
    assert "--resources KIND=1" in raised.value.hint


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[DaskCluster, list[WorkerProcess]]]:
    """A cluster to be hurt."""
    with dask_cluster(tmp_path / "dask") as cluster:
        workers = [cluster.worker("board=1") for _ in range(3)]
        cluster.awaits(3)
        yield cluster, workers


@pytest.mark.slow
def test_workers_killed_in_mid_job_change_no_count(
    own: tuple[DaskCluster, list[WorkerProcess]], nets: list[Path], pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(elsewhere, "SHARD_BYTES", 1)
    cluster, workers = own
    subjects = [Subject(net, read_contract(net)) for net in nets[:2]]
    images = open_labelled(pictures, class_count=8)

    def kill(done: int, total: int) -> None:
        if done < total / 2 and len(workers) > 1:
            workers.pop().kill()

    with open_fleet(cluster.address) as fleet:
        found = predictions_of_fleet(fleet, "board", subjects, images, progress=kill)
    assert len(workers) == 1
    for net in nets[:2]:
        here = evaluate_file(net, images)
        assert (found[net].top == here.top).all()
        assert (found[net].score == here.score).all()


@pytest.mark.slow
def test_a_profile_goes_on_on_another_board_of_the_kind(
    own: tuple[DaskCluster, list[WorkerProcess]],
    nets: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster, workers = own

    def kill() -> None:
        while not (busy := [each for each in workers if each.is_busy()]):
            time.sleep(0.05)
        busy[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    fleet = ["--fleet", cluster.address, "--device", "board"]
    assert run(["profile", str(nets[0]), *fleet, *QUICK]) == 0
    killer.join()
    assert "was lost: its job goes to another" in capsys.readouterr().err
