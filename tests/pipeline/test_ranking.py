"""Layers ranked on a fleet: as on this machine, and its absence told before minutes of work."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from edgecnn.cli.app import run
from edgecnn.devices import cluster
from edgecnn.errors import DeviceError
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.sensitivity import sensitivity
from edgecnn.pipeline.narrator import Progress, Silent
from edgecnn.pipeline.ranking import ranking_on
from edgecnn.pipeline.scheduler import Scheduler
from tests import toy
from tests.devices.dask_cluster import WorkerProcess, dask_cluster
from tests.graph.test_qdq import quantized
from tests.requirements import distributed

NOBODY = "tcp://127.0.0.1:1"


def test_a_scheduler_that_does_not_answer_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distributed()
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.5)
    with pytest.raises(DeviceError, match="no Dask scheduler"):
        ranking_on(Scheduler(NOBODY), Silent())


def test_a_fleet_without_anything_to_do_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quantize", "net.onnx", "--calibration", "photos", "--fleet", NOBODY]) == 2
    assert "--min-agreement" in capsys.readouterr().err
    assert run(["quantize", "net.onnx", "--calibration", "photos", "--device", "jetson"]) == 2
    assert "--device goes with --data" in capsys.readouterr().err
    assert run(["explain", "net.onnx", "--fleet", NOBODY]) == 2
    assert "--fleet goes with --accuracy" in capsys.readouterr().err


class Pulling(Silent):
    """Pulls the plug of a worker each time that something is done, as long as another is left."""

    def __init__(self, workers: list[WorkerProcess]) -> None:
        self.workers = workers
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def progress(self, label: str, *, unit: str = "") -> AbstractContextManager[Progress]:
        del label, unit
        return nullcontext(self._pull)

    def _pull(self, done: int, total: int, what: str = "") -> None:
        if len(self.workers) > 1 and done < total:
            self.workers.pop().kill()


@pytest.mark.slow
def test_a_fleet_finds_the_very_errors_of_this_machine_though_workers_are_killed(
    tmp_path: Path,
) -> None:
    model, int8 = fold(read_model(toy.residual())), quantized(toy.residual())
    images = list(toy.images(30, seed=4)())
    with dask_cluster(tmp_path / "dask") as dask:
        pulling = Pulling([dask.worker("board=1") for _ in range(3)])
        dask.awaits(3)
        there = ranking_on(Scheduler(dask.address, kind="board"), pulling)(model, int8, images)
    assert len(pulling.workers) == 1
    assert any("was lost: its job goes to another" in text for text in pulling.warned)
    assert there == sensitivity(model, int8, images), "to the last bit"
