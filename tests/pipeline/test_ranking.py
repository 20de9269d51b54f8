"""Layers ranked on a fleet: as on this machine, and its absence told before minutes of work."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.cli.app import run
from edgecnn.devices import cluster
from edgecnn.errors import DeviceError
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.sensitivity import sensitivity
from edgecnn.pipeline.narrator import Silent
from edgecnn.pipeline.ranking import ranking_on
from edgecnn.pipeline.scheduler import Scheduler
from tests import toy
from tests.devices.dask_cluster import dask_cluster
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
    assert run(["explain", "net.onnx", "--fleet", NOBODY]) == 2
    assert "--fleet goes with --accuracy" in capsys.readouterr().err


@pytest.mark.slow
def test_a_fleet_finds_the_errors_that_this_machine_finds(tmp_path: Path) -> None:
    model, int8 = fold(read_model(toy.residual())), quantized(toy.residual())
    images = list(toy.images(9, seed=4)())
    with dask_cluster(tmp_path / "dask") as dask:
        for _ in range(2):
            dask.worker("board=1")
        dask.awaits(2)
        there = ranking_on(Scheduler(dask.address, kind="board"), Silent())(model, int8, images)
    here = sensitivity(model, int8, images)
    assert [each.name for each in there] == [each.name for each in here]
    for one, other in zip(there, here, strict=True):
        assert one.accumulated == pytest.approx(other.accumulated, rel=1e-6)
        assert one.weights == other.weights
