"""Jobs for boards of a kind on a Dask cluster that the user already runs; each result is kept.

Workers on boards carry a resource, `dask worker tcp://scheduler:8786 --resources jetson-orin=1`;
its name is the kind of board. A worker does one job at a time. One that is lost meanwhile, or
cannot do it, leaves its job to another of the same kind.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.devices.cluster import Cluster, WorkerLostError, open_cluster
from edgecnn.devices.conversation import garbage, their_error
from edgecnn.devices.fleet_worker import Run
from edgecnn.devices.remote import refuse_parts
from edgecnn.devices.untrusted import parse_json
from edgecnn.errors import DeviceError, EdgecnnError, EngineError, FileError
from edgecnn.files import sha256_of, write_text
from edgecnn.runtime.cache import unfinished_file

Tell = Callable[[str], None]
Result = Mapping[str, Any] | EdgecnnError

_PATIENCE_S = 30.0  # a nanny starts a new worker within seconds
_GLANCE_S = 0.05
_MOST_LOSSES = 3
_MAX_RESULT = 64 << 20
_OLD_S = 24 * 3600  # a board is no longer what it was

# What another board may do better: a process that died, a full disk, a worker that fell.
_OF_A_BOARD = (EngineError, DeviceError, FileError)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a worker of a kind is to do; `kind` None is any worker.

    `run` is a function that workers can import: of the arguments and of where the files lie there
    it makes what JSON can hold. `alone` jobs share a machine with no other job.
    """

    run: Run
    arguments: Mapping[str, Any]
    files: Mapping[str, Path]
    kind: str | None = None
    alone: bool = False


class _Task:
    """A job on its way; raises FileError, DeviceError for files that cannot travel."""

    def __init__(self, job: Job) -> None:
        for path in job.files.values():
            refuse_parts(path)
        self.job = job
        self.sha256 = {name: sha256_of(path) for name, path in job.files.items()}
        self.failed_on: set[str] = set()
        self.losses = 0
        order = {
            "version": edgecnn.__version__,
            "alone": job.alone,
            "arguments": job.arguments,
            "files": self.sha256,
        }
        self.order = json.dumps(order, sort_keys=True)
        key = {"order": self.order, "run": job.run.__qualname__, "kind": str(job.kind)}
        self.kept = unfinished_file("fleet", key)

    def fits(self, worker: str, resources: Mapping[str, float]) -> bool:
        """Whether a worker may do it."""
        return worker not in self.failed_on and self.job.kind in (None, *resources)

    def needs(self, resources: Mapping[str, float]) -> dict[str, float]:
        """All that a worker has of the kind, so that no other job runs there meanwhile."""
        kind = self.job.kind
        return {} if kind is None else {kind: resources[kind]}

    def known(self) -> Mapping[str, Any] | None:
        """The result of an earlier run, if it is not too old."""
        with suppress(OSError, EdgecnnError):
            if time.time() - self.kept.stat().st_mtime < _OLD_S:
                return self.understood(self.kept.read_text(encoding="utf-8"))
        return None

    def keep(self, text: str) -> None:
        """Keep a result; raises FileError."""
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.kept, text)

    def understood(self, text: str) -> Mapping[str, Any]:
        """A result from what a worker gave; raises its error, with the names that files have here,
        DeviceError for garbage.
        """
        try:
            said = parse_json(text, most_chars=_MAX_RESULT)
        except ValueError:
            said = None
        if isinstance(said, dict) and "error" in said:
            sent = {sha256: self.job.files[name] for name, sha256 in self.sha256.items()}
            raise their_error(said["error"], "a job", sent=sent)
        if not isinstance(said, dict) or not isinstance(said.get("result"), dict):
            raise garbage("a job", repr(text[:80]))
        result: Mapping[str, Any] = said["result"]
        return result


@contextmanager
def open_fleet(address: str, *, plain: bool = False, tell: Tell | None = None) -> Iterator[Fleet]:
    """The cluster of a scheduler; `tell` hears of workers that were lost. As `open_cluster`."""
    with open_cluster(address, plain=plain) as cluster:
        yield Fleet(cluster, address, tell or _ignore)


class Fleet:
    """A cluster that jobs can be given to."""

    def __init__(self, cluster: Cluster, address: str, tell: Tell) -> None:
        self._cluster = cluster
        self._address = address
        self._tell = tell

    def check(self, kinds: Iterable[str | None]) -> None:
        """Raise DeviceError where there is no worker of a kind (of any kind, for None)."""
        workers = self._cluster.workers()
        for kind in kinds:
            if not any(kind in (None, *resources) for resources in workers.values()):
                raise self._nobody(kind)

    def results(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Do jobs and give each with its result, or the error that came of it, as they end.

        Jobs are drawn as workers become free. Results are kept until all are there, so that after
        an interruption the same jobs are not done again. Raises DeviceError where the scheduler is
        lost, or no worker is left, FileError where a file cannot be read.
        """
        work = _Work(self._cluster, jobs, self._tell)
        idle_s = 0.0
        try:
            while not work.is_done:
                work.start()
                work.collect()
                yield from work.told()
                time.sleep(_GLANCE_S)
                idle_s = 0.0 if work.is_running else idle_s + _GLANCE_S
                if idle_s > _PATIENCE_S:
                    raise self._nobody(work.missing_kind)
            work.forget()
        finally:
            work.cancel()

    def _nobody(self, kind: str | None) -> DeviceError:
        workers = self._cluster.workers()
        kinds = sorted({name for resources in workers.values() for name in resources})
        if kind is None:
            return DeviceError(
                f"{self._address}: no worker is there", hint=f"dask worker {self._address}"
            )
        if kind in kinds:
            return DeviceError(
                f"{self._address}: no worker with the resource {kind!r} is left that could do it",
                hint="see the warnings above; run it again: finished results are kept",
            )
        known = f"; there are {', '.join(kinds)}" if kinds else ""
        return DeviceError(
            f"{self._address}: no worker has the resource {kind!r}{known}",
            hint=f"on the board: dask worker {self._address} --resources {kind}=1",
        )


class _Work:
    """One run through jobs: those that wait, those that run, and what came of the others."""

    def __init__(self, cluster: Cluster, jobs: Iterable[Job], tell: Tell) -> None:
        self._cluster = cluster
        self._jobs = iter(jobs)
        self._tell = tell
        self._waiting: list[_Task] = []
        self._running: dict[Any, tuple[_Task, str]] = {}
        self._told: deque[tuple[Job, Result]] = deque()
        self._kept: list[Path] = []
        self._drawn = self._failed = False

    @property
    def is_running(self) -> bool:
        """Whether a worker has something to do."""
        return bool(self._running)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self._drawn and not (self._waiting or self._running or self._told)

    @property
    def missing_kind(self) -> str | None:
        """The kind that the first waiting job is for."""
        return self._waiting[0].job.kind if self._waiting else None

    def start(self) -> None:
        """Give jobs to workers that have none."""
        busy = {worker for _, worker in self._running.values()}
        for worker, resources in self._cluster.workers().items():
            task = None if worker in busy else self._next(worker, resources)
            if task is None:
                continue
            try:
                for name, path in task.job.files.items():
                    self._cluster.send(worker, path, task.sha256[name])
                needs = task.needs(resources)
                future = self._cluster.start(worker, task.job.run, task.order, needs)
                self._running[future] = task, worker
            except EdgecnnError as error:
                self._fell(task, worker, error)

    def collect(self) -> None:
        """Take what workers have done, and the jobs of those that have gone."""
        workers = self._cluster.workers()
        for future, (task, worker) in list(self._running.items()):
            if not future.done() and worker in workers:
                continue
            del self._running[future]
            try:
                if not future.done():
                    self._cluster.cancel(future)
                    raise WorkerLostError(worker)
                text = self._cluster.text_of(future, worker)
                result = task.understood(text)
            except EdgecnnError as error:
                self._fell(task, worker, error)
            else:
                task.keep(text)
                self._end(task, result)

    def told(self) -> Iterator[tuple[Job, Result]]:
        """What has ended since the last look."""
        while self._told:
            yield self._told.popleft()

    def cancel(self) -> None:
        """Let go of what still runs."""
        self._cluster.cancel(*self._running)

    def forget(self) -> None:
        """All is there: nothing to go on with. After a failure, what did not fail is kept."""
        for path in () if self._failed else self._kept:
            path.unlink(missing_ok=True)

    def _next(self, worker: str, resources: Mapping[str, float]) -> _Task | None:
        for task in self._waiting:
            if task.fits(worker, resources):
                self._waiting.remove(task)
                return task
        for job in self._jobs:
            task = _Task(job)
            known = task.known()
            if known is not None:
                self._end(task, known)
            elif task.fits(worker, resources):
                return task
            else:
                self._waiting.append(task)
        self._drawn = True
        return None

    def _end(self, task: _Task, result: Result) -> None:
        self._told.append((task.job, result))
        self._kept.append(task.kept)

    def _fell(self, task: _Task, worker: str, error: EdgecnnError) -> None:
        """Another board may do what one could not; three lost ones were too many."""
        if isinstance(error, WorkerLostError):
            task.losses += 1
            again = task.losses < _MOST_LOSSES
        else:
            task.failed_on.add(worker)
            others = self._cluster.workers().items()
            again = isinstance(error, _OF_A_BOARD) and any(
                task.fits(name, resources) for name, resources in others
            )
        if again:
            self._tell(f"{error}: its job goes to another")
            self._waiting.append(task)
        else:
            self._failed = True
            self._told.append((task.job, error))


def _ignore(text: str) -> None:
    del text
