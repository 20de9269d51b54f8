"""The programs that the profiler's medians are compared with; each waits until it is its turn."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.onnxfile import read_header
from edgecnn.profiling.statistics import quantile

TURNS, TURN_S = 6, 0.3

BARE = """
import json, sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
images = [np.ascontiguousarray(image) for image in np.load(sys.argv[2])]
print("ready", flush=True)
for line in sys.stdin:
    taken = []
    for index in range(int(line)):
        image = images[index % len(images)]
        start = time.perf_counter_ns()
        session.run(None, {name: image})
        taken.append(time.perf_counter_ns() - start)
    print(json.dumps(taken), flush=True)
"""


class Other(Protocol):
    """A program that the profiler takes turns with."""

    def turn(self) -> bool:
        """Run for a while; whether there is more to come."""

    def median_ns(self) -> float:
        """Of all runs, once there is no more to come."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The same images for everybody: as frames, as tensors (images, 1, ...), and one as a file."""

    frames: Path
    tensors: Path
    one: Path


@dataclass(slots=True)
class Bare:
    """The bare loop in its process, `runs` a turn."""

    process: subprocess.Popen[str]
    runs: int
    taken: list[NDArray[np.int64]] = field(default_factory=list)

    def turn(self) -> bool:
        """As many runs as the profiler makes, the first three untimed."""
        told, heard = pipes(self.process)
        told.write(f"{self.runs + 3}\n")
        told.flush()
        self.taken.append(np.array(json.loads(heard.readline()))[3:])
        return len(self.taken) < TURNS

    def median_ns(self) -> float:
        """Of all runs."""
        return quantile(np.concatenate(self.taken), 0.5)


@contextmanager
def bare_loop(file: Path, inputs: Inputs, *, runs: int) -> Iterator[Other]:
    """Ready to run; workers have a session of their own, by which CPUs are shared."""
    with subprocess.Popen(
        [sys.executable, "-c", BARE, str(file), str(inputs.tensors)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        told, heard = pipes(process)
        with told:
            heard.readline()
            yield Bare(process, runs)


@dataclass(slots=True)
class App:
    """benchmark_app, stopped until it is its turn."""

    process: subprocess.Popen[str]

    def turn(self) -> bool:
        """Let it run for a while; a run that is cut in two is one among hundreds."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(TURN_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGSTOP)
            return True
        return False

    def median_ns(self) -> float:
        """As it prints it."""
        said = pipes(self.process)[1].read()
        found = re.search(r"Median:\s+([0-9.]+) ms", said)
        assert found, said[-1000:]
        return float(found[1]) * 1e6


@contextmanager
def benchmark_app(app: str, file: Path, inputs: Inputs, *, runs: int, kind: str) -> Iterator[Other]:
    """Synchronous, one thread that no core is bound to, one stream: as our engine is opened."""
    name = read_header(file).inputs[0].name
    command = [
        app, "-m", str(file), "-i", f"{name}:{inputs.one}", "-ip", "f32", "-d", "CPU",
        "-hint", "none", "-api", "sync", "-nstreams", "1", "-nthreads", "1", "-pin", "NO",
        "-infer_precision", kind, "-niter", str(TURNS * runs),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        try:
            said = ""
            while "First inference" not in said:  # from here on it measures
                said = pipes(process)[1].readline()
                assert said, f"{' '.join(command)}: it ended before it measured"
            process.send_signal(signal.SIGSTOP)
            yield App(process)
        finally:
            process.kill()


def pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    """What it hears and what it says."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
