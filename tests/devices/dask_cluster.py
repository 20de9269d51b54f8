"""A real Dask cluster on this machine: a scheduler and workers, processes with their own caches."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import edgecnn
from edgecnn.devices.cluster import open_cluster
from tests import requirements
from tests.devices.loopback import free_port, is_open

_START_S = 60.0


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker that can be killed; `cache` is what edgecnn keeps there."""

    process: subprocess.Popen[bytes]
    cache: Path

    @property
    def kept(self) -> dict[str, int]:
        """The files that were sent to it, with their times: one that is sent again is newer."""
        folder = self.cache / "remote"
        return {path.name: path.stat().st_ino for path in folder.glob("*")}

    def is_busy(self) -> bool:
        """Whether a model runs there, in a process of its own."""
        with suppress(OSError):  # a thread of it has ended meanwhile
            tasks = Path(f"/proc/{self.process.pid}/task")
            return any(path.read_text() for path in tasks.glob("*/children"))
        return False

    def kill(self) -> None:
        """As when somebody pulls the plug."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class DaskCluster:
    """A scheduler at `address`, and workers as they are asked for.

    `settings` are Dask's, as environment variables; with some of them it speaks tls.
    """

    def __init__(self, folder: Path, stack: ExitStack, settings: Mapping[str, str]) -> None:
        requirements.distributed()
        self._folder = folder
        self._stack = stack
        self._numbers = itertools.count()
        self._port = free_port()
        self._settings = settings
        protocol = "tls" if settings else "tcp"
        self.address = f"{protocol}://127.0.0.1:{self._port}"
        words = ["--protocol", protocol, "--host", "127.0.0.1", "--port", str(self._port)]
        words += ["--no-dashboard", "--no-jupyter"]
        self.scheduler = self._start("scheduler", words, {})

    def worker(self, resources: str = "", **environment: str) -> WorkerProcess:
        """Start a worker with resources like `board=1`."""
        name = f"worker_{next(self._numbers)}"
        cache = self._folder / f"{name}_cache"
        words = [self.address, "--no-nanny", "--no-dashboard", "--nthreads", "2"]
        words += ["--host", "127.0.0.1", "--name", name]
        words += ["--local-directory", str(self._folder / name), "--memory-limit", "0"]
        words += ["--resources", resources] if resources else []
        process = self._start("worker", words, {"EDGECNN_CACHE": str(cache)} | environment)
        return WorkerProcess(process, cache)

    def awaits(self, count: int) -> None:
        """Wait until so many workers are there."""
        deadline_s = time.monotonic() + _START_S
        while not is_open(self._port):
            assert time.monotonic() < deadline_s, "the scheduler does not start"
            time.sleep(0.1)
        with open_cluster(self.address) as cluster:
            while len(cluster.workers()) < count:
                assert time.monotonic() < deadline_s, "a worker does not start"
                time.sleep(0.1)

    def _start(
        self, verb: str, words: Sequence[str], more: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(Path(edgecnn.__path__[0]).parent), *sys.path])
        log = self._stack.enter_context((self._folder / f"{verb}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{verb}", *words],
            env={**os.environ, "PYTHONPATH": path, **self._settings, **more},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        self._stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextmanager
def dask_cluster(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[DaskCluster]:
    """A cluster that ends with the block."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        yield DaskCluster(folder, stack, settings or {})
