"""A contestant of bench-auto as its process, which runs when it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.accuracy_peers import PeerError, last_line

ROOT = Path(__file__).parents[1]


class Runner:
    """An engine that has loaded a network in a process of its own; raises PeerError.

    `answer` is what it says to the first image, `latencies_ns` has the runs of each block so far.
    """

    def __init__(self, python: Path, engine: str, file: Path, images: Path) -> None:
        self.latencies_ns: list[list[int]] = []
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed on exit
        command = [str(python), "-m", "benchmarks.auto_worker", engine, str(file), str(images)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # the kernel shares CPUs by session
        )
        try:
            self.answer: list[float] = self._told()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def block(self, number: int) -> list[int]:
        """The latencies of a block of runs in ns."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        self.latencies_ns.append(self._told())
        return self.latencies_ns[-1]

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def _told(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            raise PeerError(last_line(self._said.read()))
        return json.loads(line)
