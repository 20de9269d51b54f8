"""Claims: the profiler costs under 10 us a run, and its medians are a bare loop's within 3 %.

    make bench-profiler        or        python -m benchmarks.profiler [FILE...]

The bare loop is ONNX Runtime called as its documentation does, in a process of its own;
profiler and loop take turns, block by block in random order, on one thread. Where OpenVINO and its
benchmark_app are installed, the same file on the same thread is given to them, too, in turns.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import OUTPUT, files
from edgecnn.datasets.natural import natural_images
from edgecnn.devices import LocalDevice, Worker
from edgecnn.profiling.plan import visiting_orders
from edgecnn.profiling.statistics import quantile, ratio_interval
from edgecnn.runtime.measure import measure
from edgecnn.runtime.worker import write_frames

MOST_OVERHEAD_NS = 10_000
MOST_APART = 0.03
ROUNDS = 16
BLOCK_NS = 500_000_000
APP_ROUNDS, APP_S = 6, 5

Visit = Callable[[int], NDArray[np.int64]]

BARE = """
import json, sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
spec = session.get_inputs()[0]
image = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
print("ready", flush=True)
for line in sys.stdin:
    taken = []
    for _ in range(int(line)):
        start = time.perf_counter_ns()
        session.run(None, {spec.name: image})
        taken.append(time.perf_counter_ns() - start)
    print(json.dumps(taken), flush=True)
"""


def overhead_holds() -> bool:
    """What the timing loop adds to a run that does nothing."""
    median_ns = quantile(np.array(measure(lambda index: None, runs=200_000, warmup=1000)), 0.5)
    return said(f"overhead {median_ns:.0f} ns a run, under {MOST_OVERHEAD_NS}",
                held=median_ns < MOST_OVERHEAD_NS)  # fmt: skip


def bare_loop_holds(file: Path) -> bool:
    """The profiler's median against that of the bare loop."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_frames(folder / "frames.npz", natural_images(8, height=480, width=640, seed=2))
        arguments = [str(file), "--inputs", str(folder / "frames.npz"), "--threads", "1"]
        worker = stack.enter_context(Worker(LocalDevice(), arguments, file=str(file)))
        bare = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", BARE, str(file)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True,  # as workers are: the kernel shares CPUs by session
            )
        )  # fmt: skip
        assert bare.stdin is not None
        assert bare.stdout is not None
        stack.callback(bare.stdin.close)
        bare.stdout.readline()
        runs = max(5, BLOCK_NS // worker.ready.run_ns)
        parties: tuple[Visit, Visit] = (
            lambda runs: np.array(worker.visit(runs=runs, warmup=3).latencies_ns),
            lambda runs: asked(bare, runs)[3:],
        )
        ours, theirs = taken_in_turns(parties, runs)
    return agrees(f"{file.name}: profiler / bare loop", ours, theirs)


def asked(bare: subprocess.Popen[str], runs: int) -> NDArray[np.int64]:
    assert bare.stdin is not None
    assert bare.stdout is not None
    bare.stdin.write(f"{runs + 3}\n")
    bare.stdin.flush()
    return np.array(json.loads(bare.stdout.readline()))


def taken_in_turns(parties: Sequence[Visit], runs: int) -> list[list[NDArray[np.int64]]]:
    """Blocks of each party, in random order; the first round is left out as warm-up."""
    blocks: list[list[NDArray[np.int64]]] = [[] for _ in parties]
    orders = visiting_orders(len(parties), seed=0)
    for _ in range(ROUNDS + 1):
        for index in next(orders):
            blocks[index].append(parties[index](runs))
    return [own[1:] for own in blocks]


def benchmark_app_holds(file: Path, app: str) -> bool:
    """The profiler's median on OpenVINO against that of OpenVINO's own program."""
    ours, theirs = list[NDArray[np.int64]](), list[NDArray[np.int64]]()
    with tempfile.TemporaryDirectory() as name:
        frames = Path(name) / "frames.npz"
        write_frames(frames, natural_images(8, height=480, width=640, seed=2))
        arguments = [str(file), "--inputs", str(frames), "--threads", "1", "--engine", "openvino"]
        with Worker(LocalDevice(), arguments, file=str(file)) as worker:
            runs = max(5, APP_S * 1_000_000_000 // worker.ready.run_ns)
            facts = worker.ready.facts
            for _ in range(APP_ROUNDS):
                theirs.append(np.array([app_median_ns(file, app, facts)]))
                ours.append(np.array(worker.visit(runs=runs, warmup=3).latencies_ns))
    return agrees(f"{file.name}: profiler / benchmark_app", ours, theirs)


def app_median_ns(file: Path, app: str, facts: Mapping[str, str]) -> int:
    """Synchronous, one thread, one stream, and in the type that our engine says it computes in."""
    kind = "bf16" if facts.get("float") == "bf16" else "f32"
    done = subprocess.run(
        [app, "-m", str(file), "-d", "CPU", "-hint", "none", "-api", "sync", "-nstreams", "1",
         "-nthreads", "1", "-infer_precision", kind, "-t", str(APP_S)],
        capture_output=True, text=True, check=True, start_new_session=True,
    )  # fmt: skip
    found = re.search(r"Median:\s+([0-9.]+) ms", done.stdout)
    assert found, done.stdout[-500:]
    return round(float(found[1]) * 1e6)


def agrees(
    what: str, ours: Sequence[NDArray[np.int64]], theirs: Sequence[NDArray[np.int64]]
) -> bool:
    ratio = ratio_interval(ours, theirs)
    told = f"{what} = {ratio.value:.4f} ({ratio.low:.4f} to {ratio.high:.4f}), within 3 %"
    if min(block.size for block in theirs) > 1:
        # Where others share the CPU, the undisturbed runs still say whether the two time the same.
        calm = quantile(np.concatenate(ours), 0.1) / quantile(np.concatenate(theirs), 0.1)
        told += f" (of the fastest tenths {calm:.4f})"
    if abs(ratio.value - 1) <= MOST_APART:
        return said(told, held=True)
    near = ratio.low <= 1 + MOST_APART and ratio.high >= 1 - MOST_APART
    return said(told, held=None if near else False)


def said(claim: str, *, held: bool | None) -> bool:
    """Tell a claim; one that this machine is too busy to judge is not counted as broken."""
    told = {True: "holds", False: "DOES NOT HOLD", None: "cannot be told here, others are at work"}
    print(f"claim: {claim}: {told[held]}", flush=True)
    return held is not False


def main(names: Sequence[str]) -> int:
    OUTPUT.mkdir(exist_ok=True)
    paths = [Path(name) for name in names] or [*files("mobilenetv2"), files("resnet50")[0]]
    held = [overhead_holds(), *(bare_loop_holds(path) for path in paths)]
    app = shutil.which("benchmark_app", path=str(Path(sys.executable).parent))
    if app is None:
        print("benchmark_app is not here: pip install openvino; that claim was not tried")
    else:
        held += [benchmark_app_holds(path, app) for path in paths]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
