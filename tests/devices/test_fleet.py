"""Jobs on a real Dask cluster: on the right board, each result kept, each failure told."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edgecnn
from edgecnn.devices import cluster as cluster_module
from edgecnn.devices import fleet as fleet_module
from edgecnn.devices.cluster import check_address
from edgecnn.devices.fleet import Fleet, Job, open_fleet
from edgecnn.devices.fleet_worker import Run
from edgecnn.errors import DeviceError, EdgecnnError, ModelError, UsageError
from tests import requirements
from tests.devices import fleet_jobs
from tests.devices.dask_cluster import DaskCluster, WorkerProcess, dask_cluster


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:9", "tls://10.0.0.5:8786"]
)
def test_this_machine_and_tls_are_trusted(address: str) -> None:
    check_address(address, plain=False)


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "tcp://boards.local:8786"])
def test_plain_tcp_to_other_machines_must_be_asked_for(address: str) -> None:
    with pytest.raises(UsageError, match="plain tcp") as raised:
        check_address(address, plain=False)
    assert "tls://" in raised.value.hint
    assert "--allow-plain-tcp" in raised.value.hint
    check_address(address, plain=True)


@pytest.mark.parametrize(
    "address", ["", "10.0.0.5:8786", "tcp://host", "tcp://host:99999", "ucx://h:1", "tcp://:8786"]
)
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        check_address(address, plain=True)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    requirements.distributed()
    monkeypatch.setattr(cluster_module, "_CONNECT_S", 0.5)
    with pytest.raises(DeviceError, match="no Dask scheduler"), open_fleet("tcp://127.0.0.1:1"):
        pass
    with pytest.raises(DeviceError, match="no connection") as raised, open_fleet("tls://[::1]:1"):
        pass
    assert "certificates" in raised.value.hint


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler, two workers on boards of a kind, and one elsewhere."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def boards(shared: DaskCluster) -> tuple[WorkerProcess, WorkerProcess]:
    found = shared.worker("board=1"), shared.worker("board=1")
    shared.worker()
    shared.awaits(3)
    return found


@pytest.fixture
def fleet(shared: DaskCluster, boards: tuple[WorkerProcess, ...]) -> Iterator[Fleet]:
    with open_fleet(shared.address) as fleet:
        yield fleet


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("in the beginning")
    return path


def job(words: Path, run: Run = fleet_jobs.read, **arguments: Any) -> Job:
    return Job(run, arguments, {"words": words}, kind="board")


def results(fleet: Fleet, *jobs: Job) -> list[Any]:
    found = dict(fleet.results(jobs))
    return [found[each] for each in jobs]


def test_jobs_go_to_boards_of_their_kind_and_files_travel_once(
    fleet: Fleet, boards: tuple[WorkerProcess, WorkerProcess], words: Path
) -> None:
    jobs = [job(words, seconds=0.3, number=number) for number in range(4)]
    found = results(fleet, *jobs)
    assert {each["said"] for each in found} == {"in the beginning"}
    assert {each["by"] for each in found} == {str(board.cache) for board in boards}
    kept = [board.kept for board in boards]
    assert [len(each) for each in kept] == [1, 1]
    results(fleet, *(job(words, number=number) for number in range(4, 8)))
    assert [board.kept for board in boards] == kept


def test_there_is_no_board_of_that_kind(fleet: Fleet) -> None:
    with pytest.raises(DeviceError, match=r"no worker has the resource 'moon'; there are board"):
        fleet.check(["moon"])


def test_another_version_is_told(
    fleet: Fleet, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgecnn, "__version__", "99.0")
    (told,) = results(fleet, job(words))
    assert isinstance(told, DeviceError)
    assert f"it has edgecnn {edgecnn.__version__}" not in str(told)
    assert "99.0 is what asks" in str(told)
    assert "==99.0" in told.hint


def test_another_dask_is_told(
    shared: DaskCluster, boards: tuple[WorkerProcess, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import distributed

    def other(client: Any) -> Any:
        found = real(client)
        found["client"]["packages"]["distributed"] = "2019.1"
        return found

    real = distributed.Client.get_versions
    monkeypatch.setattr(distributed.Client, "get_versions", other)
    with pytest.raises(DeviceError, match=r"and here is 2019\.1"), open_fleet(shared.address):
        pass


def test_what_one_board_cannot_do_another_may(
    fleet: Fleet, boards: tuple[WorkerProcess, WorkerProcess], words: Path
) -> None:
    for board, other in (boards, boards[::-1]):
        (found,) = results(fleet, job(words, fleet_jobs.weak, weak=board.cache.name))
        assert found["by"] == str(other.cache)


@pytest.mark.parametrize(
    ("run", "kind", "words_told"),
    [
        (fleet_jobs.torn, ModelError, r"words\.txt: torn"),
        (fleet_jobs.buggy, DeviceError, "RuntimeError: not what was meant"),
        (fleet_jobs.silly, DeviceError, "nobody can read"),
    ],
)
def test_errors_and_garbage_are_told(
    fleet: Fleet, words: Path, run: Run, kind: type[EdgecnnError], words_told: str
) -> None:
    import re

    (told,) = results(fleet, job(words, run))
    assert isinstance(told, kind)
    assert re.search(words_told, str(told))
    assert "remote/" not in str(told)


def test_a_result_is_kept_until_all_are_there(fleet: Fleet, words: Path) -> None:
    first, second = job(words, number=1), job(words, fleet_jobs.torn)
    by = results(fleet, first, second)[0]["by"]
    started_s = time.monotonic()
    again = job(words, number=1)
    assert results(fleet, again)[0]["by"] == by  # no worker was asked: it takes no while
    assert time.monotonic() - started_s < 5


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_finished_result(own: DaskCluster, words: Path) -> None:
    workers = [own.worker("board=1") for _ in range(3)]
    own.awaits(3)
    told: list[str] = []
    with open_fleet(own.address, tell=told.append) as fleet:
        jobs = [job(words, seconds=2, number=number) for number in range(9)]
        found: dict[Job, Any] = {}
        for each, result in fleet.results(jobs):
            found[each] = result
            if len(found) in (1, 4):
                workers.pop().kill()
    assert {found[each]["said"] for each in jobs} == {"in the beginning"}
    assert told
    assert all("was lost: its job goes to another" in line for line in told)


@pytest.mark.slow
def test_what_was_done_before_all_boards_went_is_not_done_again(
    own: DaskCluster, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "_PATIENCE_S", 2.0)
    first = own.worker("board=1")
    own.awaits(1)
    jobs = [job(words, number=number) for number in range(3)]
    with open_fleet(own.address) as fleet:
        coming = fleet.results(jobs)
        assert isinstance(next(coming)[1], dict)
        first.kill()
        with pytest.raises(DeviceError, match="no worker has the resource 'board'"):
            list(coming)
    second = own.worker("board=1")
    own.awaits(1)
    with open_fleet(own.address) as fleet:
        by = [found["by"] for found in results(fleet, *jobs)]
    assert by[0] == str(first.cache)
    assert by[-1] == str(second.cache)


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_given_up(own: DaskCluster, words: Path) -> None:
    for _ in range(4):
        own.worker("board=1")
    own.awaits(4)
    with open_fleet(own.address) as fleet:
        (told,) = results(fleet, job(words, fleet_jobs.deadly))
    assert isinstance(told, DeviceError)
    assert "was lost" in str(told)


@pytest.mark.slow
def test_a_scheduler_that_goes_is_told(own: DaskCluster, words: Path) -> None:
    own.worker("board=1")
    own.awaits(1)
    with open_fleet(own.address) as fleet:
        coming = fleet.results([job(words, seconds=1, number=number) for number in range(9)])
        next(coming)
        own.scheduler.kill()
        with pytest.raises(DeviceError, match="the scheduler has gone"):
            list(coming)


@pytest.mark.slow
def test_tls_goes_by_dask_s_own_settings(tmp_path: Path, words: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=fleet -keyout key.pem"
    subprocess.run(
        [*make.split(), "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True
    )
    settings = {"ca-file": str(certificate)}
    for who in ("scheduler", "worker", "client"):
        settings |= {f"{who}.cert": str(certificate), f"{who}.key": str(key)}
    import dask.config

    names = {f"distributed.comm.tls.{name}": value for name, value in settings.items()}
    environment = {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value
        for name, value in names.items()
    }
    with dask_cluster(tmp_path / "dask", environment) as cluster:
        cluster.worker("board=1")
        with dask.config.set(names):
            cluster.awaits(1)
            with open_fleet(cluster.address) as fleet:
                assert results(fleet, job(words))[0]["said"] == "in the beginning"
        with pytest.raises(DeviceError, match="no connection"), open_fleet(cluster.address):
            pass


@pytest.fixture
def own(tmp_path: Path) -> Iterator[DaskCluster]:
    """A cluster to be hurt."""
    with dask_cluster(tmp_path / "dask") as cluster:
        yield cluster
