"""Claim: in one process our OpenVINO engine takes what benchmark_app's way takes, within 3 %.

    python -m benchmarks.openvino_call FILE

The app compiles the file, writes the image once into the request's own tensor, and runs it again
and again; our engine loads what was compiled before, is handed the image for every run, and hands
out the answer. Both stand in one process and take turns in random order, so that neither where
memory lies nor a slow second tells them apart for long; five processes, one ratio of medians each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.profiler import inputs_of
from edgecnn.files import sha256_of
from edgecnn.profiling.plan import visiting_orders
from edgecnn.profiling.statistics import geometric_interval, quantile
from edgecnn.runtime.engines.openvino import open_blob

MOST_APART = 0.03
PROCESSES, TURNS, RUNS = 5, 40, 15
AS_THE_APP = {
    "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1", "ENABLE_CPU_PINNING": "NO",
    "INFERENCE_PRECISION_HINT": "f32",
}  # fmt: skip


def ours(file: Path, image: Any) -> Callable[[], object]:
    """A run of our engine."""
    engine = open_blob(file, engine="openvino", sha256=sha256_of(file), threads=1)
    feeds = {engine.inputs[0].name: image}
    return lambda: engine.run(feeds)


def theirs(file: Path, image: Any) -> Callable[[], object]:
    """A run of the app's request."""
    import openvino

    compiled = openvino.Core().compile_model(str(file), "CPU", AS_THE_APP)
    request = compiled.create_infer_request()
    request.get_input_tensor(0).data[:] = image
    run: Callable[[], object] = request.infer
    return run


def ratio(file: Path, image: Any, *, seed: int) -> float:
    """How many times longer ours takes, of the medians of turns in this process."""
    runs = (ours(file, image), theirs(file, image))
    medians_ns: tuple[list[float], ...] = ([], [])
    orders = visiting_orders(2, seed=seed)
    for _ in range(TURNS):
        for index in next(orders):
            runs[index]()
            runs[index]()
            taken = [timed_ns(runs[index]) for _ in range(RUNS)]
            medians_ns[index].append(quantile(np.array(taken), 0.5))
    above, below = (quantile(np.array(each), 0.5) for each in medians_ns)
    return above / below


def timed_ns(run: Callable[[], object]) -> int:
    """What one run takes."""
    start_ns = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - start_ns


def main(file: Path) -> int:
    found = []
    for seed in range(PROCESSES):
        command = [sys.executable, "-m", "benchmarks.openvino_call", str(file), str(seed)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(float(done.stdout))
    told = geometric_interval(found)
    held = abs(told.value - 1) <= MOST_APART
    print(f"claim: {file.name}: engine / the app's way, in one process = {told.value:.3f} "
          f"({told.low:.3f} to {told.high:.3f}), within 3 %: "
          f"{'holds' if held else 'DOES NOT HOLD'}")  # fmt: skip
    return 0 if held else 1


if __name__ == "__main__":
    path = Path(sys.argv[1])
    if len(sys.argv) == 2:
        sys.exit(main(path))
    with inputs_of(path, count=1) as inputs:
        print(ratio(path, np.load(inputs.one), seed=int(sys.argv[2])))
