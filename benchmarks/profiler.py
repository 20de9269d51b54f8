"""Claims: the profiler costs under 10 us a run, and its medians are a bare loop's within 3 %.

    make bench-profiler        or        python -m benchmarks.profiler [FILE...]

The bare loop is ONNX Runtime called as its documentation does, on the same preprocessed images in
turn and one thread. Profiler and loop each run in a process of their own and take turns, block by
block in random order. Two processes with the same file settle up to 3 % apart by where their memory
lies, so both are started anew several times. Where OpenVINO and its benchmark_app are installed,
both get the same file, one thread and one image, the app in the type that our engine computes in.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import OUTPUT, files
from edgecnn.datasets.natural import natural_images
from edgecnn.devices import LocalDevice, Worker
from edgecnn.onnxfile import read_contract, read_header
from edgecnn.profiling.plan import visiting_orders
from edgecnn.profiling.statistics import quantile, ratio_interval
from edgecnn.runtime.measure import measure
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.worker import write_frames

MOST_OVERHEAD_NS = 10_000
MOST_APART = 0.03
PROCESSES, ROUNDS = 4, 4
BLOCK_NS = 400_000_000
APP_ROUNDS, APP_S = 5, 3
TINY = "lenet5"  # where what is around a run shows most

Blocks = list[NDArray[np.int64]]
Visit = Callable[[int], NDArray[np.int64]]

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


@dataclass(frozen=True, slots=True)
class Inputs:
    """The same images for everybody: as frames, as tensors (images, 1, ...), and one as a file."""

    frames: Path
    tensors: Path
    one: Path


@contextmanager
def inputs_of(file: Path, *, count: int) -> Iterator[Inputs]:
    """Photographs as drawn, preprocessed as the file's contract says."""
    how, images = read_contract(file).preprocess, list(
        natural_images(count, height=480, width=640, seed=2)
    )  # fmt: skip
    tensors = np.stack([preprocess(image, how) for image in images])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = Inputs(folder / "frames.npz", folder / "tensors.npy", folder / "one.npy")
        write_frames(found.frames, images)
        np.save(found.tensors, tensors)
        np.save(found.one, tensors[0])
        yield found


def worker_of(file: Path, inputs: Inputs, *, engine: str = "onnxruntime") -> Worker:
    """The profiler's own process."""
    arguments = [str(file), "--inputs", str(inputs.frames), "--threads", "1", "--engine", engine]
    return Worker(LocalDevice(), arguments, file=str(file))


def overhead_holds() -> bool:
    """What the timing loop adds to a run that does nothing."""
    median_ns = quantile(np.array(measure(lambda index: None, runs=200_000, warmup=1000)), 0.5)
    return said(f"the loop costs {median_ns:.0f} ns a run, under {MOST_OVERHEAD_NS}",
                held=median_ns < MOST_OVERHEAD_NS)  # fmt: skip


def tiny_overhead_holds(file: Path) -> bool:
    """What the profiler's median of a tiny network has more than the bare loop's."""
    ours, theirs = against_bare(file)
    medians = [quantile(np.concatenate(blocks), 0.5) for blocks in (ours, theirs)]
    more_ns = medians[0] - medians[1]
    told = (
        f"{file.name}: {medians[0] / 1e3:.1f} us, of which {more_ns / 1e3:.1f} are the profiler's"
    )
    return said(f"{told}, under {MOST_OVERHEAD_NS / 1e3:g}", held=more_ns < MOST_OVERHEAD_NS)


def bare_loop_holds(file: Path) -> bool:
    """The profiler's median against that of the bare loop."""
    return agrees(f"{file.name}: profiler / bare loop", *against_bare(file))


def against_bare(file: Path) -> tuple[Blocks, Blocks]:
    """Blocks of the profiler and of the bare loop, from several processes of each."""
    ours, theirs = Blocks(), Blocks()
    orders = visiting_orders(2, seed=0)
    with inputs_of(file, count=8) as inputs:
        for _ in range(PROCESSES):
            with worker_of(file, inputs) as worker, bare_loop(file, inputs) as bare:
                runs = max(5, BLOCK_NS // worker.ready.run_ns)
                parties: tuple[tuple[Visit, Blocks], ...] = (
                    (partial(visited, worker), ours), (bare, theirs),
                )  # fmt: skip
                for number in range(ROUNDS + 1):
                    for index in next(orders):
                        visit, blocks = parties[index]
                        taken = visit(runs)
                        if number:  # the first round warms both up
                            blocks.append(taken)
    return ours, theirs


def visited(worker: Worker, runs: int) -> NDArray[np.int64]:
    return np.array(worker.visit(runs=runs, warmup=3).latencies_ns)


@contextmanager
def bare_loop(file: Path, inputs: Inputs) -> Iterator[Visit]:
    """The loop in its process; workers have a session of their own, by which CPUs are shared."""
    with subprocess.Popen(
        [sys.executable, "-c", BARE, str(file), str(inputs.tensors)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as bare, ExitStack() as stack:  # fmt: skip
        told, heard = bare.stdin, bare.stdout
        assert told is not None
        assert heard is not None
        stack.callback(told.close)
        heard.readline()

        def visit(runs: int) -> NDArray[np.int64]:
            told.write(f"{runs + 3}\n")
            told.flush()
            return np.array(json.loads(heard.readline()))[3:]

        yield visit


def benchmark_app_holds(file: Path, app: str) -> bool:
    """The profiler's median on OpenVINO against that of OpenVINO's own program."""
    ours, theirs = Blocks(), Blocks()
    orders = visiting_orders(2, seed=0)
    with inputs_of(file, count=1) as inputs:
        with worker_of(file, inputs, engine="openvino") as worker:
            kind = "bf16" if worker.ready.facts.get("float") == "bf16" else "f32"
            runs = max(5, APP_S * 1_000_000_000 // worker.ready.run_ns)
        for _ in range(APP_ROUNDS):
            for index in next(orders):
                if index:
                    theirs.append(np.array([app_median_ns(file, app, inputs, kind=kind)]))
                else:
                    with worker_of(file, inputs, engine="openvino") as worker:
                        ours.append(visited(worker, runs))
    return agrees(f"{file.name}: profiler / benchmark_app", ours, theirs)


def app_median_ns(file: Path, app: str, inputs: Inputs, *, kind: str) -> int:
    """Synchronous, one thread that no core is bound to, one stream: as our engine is opened."""
    name = read_header(file).inputs[0].name
    done = subprocess.run(
        [app, "-m", str(file), "-i", f"{name}:{inputs.one}", "-ip", "f32", "-d", "CPU",
         "-hint", "none", "-api", "sync", "-nstreams", "1", "-nthreads", "1", "-pin", "NO",
         "-infer_precision", kind, "-t", str(APP_S)],
        capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    found = re.search(r"Median:\s+([0-9.]+) ms", done.stdout)
    assert found, (done.stdout + done.stderr)[-1000:]
    return round(float(found[1]) * 1e6)


def agrees(what: str, ours: Blocks, theirs: Blocks) -> bool:
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
    held = [overhead_holds(), tiny_overhead_holds(files(TINY)[0])]
    held += [bare_loop_holds(path) for path in paths]
    app = shutil.which("benchmark_app", path=str(Path(sys.executable).parent))
    if app is None:
        print("benchmark_app is not here: pip install openvino; that claim was not tried")
    else:
        held += [benchmark_app_holds(path, app) for path in paths]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
