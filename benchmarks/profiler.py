"""Claims: the profiler costs under 10 us a run, and its medians are other programs' within 3 %.

    make bench-profiler        or        python -m benchmarks.profiler [FILE...]

The others are ONNX Runtime, called in a bare loop as its documentation does, and OpenVINO's
benchmark_app where that is installed. All get the same file, the same preprocessed images, one
thread and one image a run; the app computes in the type that our engine computes in.

Two processes that run the same file settle some percent apart by where their memory lies, and a
machine has slow seconds. So each pair of processes, the profiler's and another's, is started anew
and takes turns of a third of a second: the app, which cannot be asked, is stopped and continued.
A pair gives one ratio of medians; the claim holds where the 95 % interval of their mean lies within
3 %, and does not hold where it lies outside.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import OUTPUT, files
from benchmarks.profiler_peers import TURN_S, Inputs, Other, bare_loop, benchmark_app
from edgecnn.datasets.natural import natural_images
from edgecnn.devices import LocalDevice, Worker
from edgecnn.onnxfile import read_contract
from edgecnn.profiling.statistics import Interval, geometric_interval, quantile, student_interval
from edgecnn.runtime.measure import measure
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.worker import write_frames

MOST_OVERHEAD_NS = 10_000
MOST_APART = 0.03
PAIRS = 16
TINY = "lenet5"  # where what is around a run shows most

Opened = Callable[[], AbstractContextManager[Other]]


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


def medians_ns(ours: Callable[[], Worker], theirs: Opened, *, first: bool) -> tuple[float, float]:
    """The medians of one pair of processes, the profiler's and another's, that take turns.

    `first` says whether the profiler's is started first, and has the first turn.
    """
    taken: list[NDArray[np.int64]] = []
    with ExitStack() as stack:
        if first:
            worker, other = stack.enter_context(ours()), stack.enter_context(theirs())
        else:
            other, worker = stack.enter_context(theirs()), stack.enter_context(ours())
        runs = runs_of_a_turn(worker)
        more = True if first else other.turn()
        while more:
            taken.append(np.array(worker.visit(runs=runs, warmup=3).latencies_ns))
            more = other.turn()
        return quantile(np.concatenate(taken), 0.5), other.median_ns()


def runs_of_a_turn(worker: Worker) -> int:
    """How many runs fill a turn."""
    return max(4, int(TURN_S * 1e9) // worker.ready.run_ns)


def pairs_ns(ours: Callable[[], Worker], theirs: Opened) -> list[tuple[float, float]]:
    """The medians of all pairs."""
    return [medians_ns(ours, theirs, first=bool(index % 2)) for index in range(PAIRS)]


def against_bare(file: Path) -> list[tuple[float, float]]:
    """The medians of the profiler and of the bare loop."""
    with inputs_of(file, count=8) as inputs:
        ours = partial(worker_of, file, inputs)
        with ours() as scout:
            runs = runs_of_a_turn(scout)
        return pairs_ns(ours, partial(bare_loop, file, inputs, runs=runs))


def against_app(file: Path, app: str) -> list[tuple[float, float]]:
    """The medians of the profiler on OpenVINO and of OpenVINO's own program."""
    with inputs_of(file, count=1) as inputs:
        ours = partial(worker_of, file, inputs, engine="openvino")
        with ours() as scout:
            runs = runs_of_a_turn(scout)
            kind = "bf16" if scout.ready.facts.get("float") == "bf16" else "f32"
        return pairs_ns(ours, partial(benchmark_app, app, file, inputs, runs=runs, kind=kind))


def overhead_holds() -> bool:
    """What the timing loop adds to a run that does nothing."""
    median_ns = quantile(np.array(measure(lambda index: None, runs=200_000, warmup=1000)), 0.5)
    return said(f"the loop costs {median_ns:.0f} ns a run, under {MOST_OVERHEAD_NS}",
                held=median_ns < MOST_OVERHEAD_NS)  # fmt: skip


def tiny_overhead_holds(file: Path) -> bool:
    """What the profiler's median of a tiny network has more than the bare loop's."""
    pairs = against_bare(file)
    more = student_interval([(ours - theirs) / 1e3 for ours, theirs in pairs])
    told = f"{file.name}: of {pairs[0][0] / 1e3:.1f} us {between(more)} are the profiler's"
    most = MOST_OVERHEAD_NS / 1e3
    return said(f"{told}, under {most:g}", held=within(more, low=-math.inf, high=most))


def agrees(what: str, pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether two programs' medians are the same within what is claimed."""
    ratio = geometric_interval([ours / theirs for ours, theirs in pairs])
    held = within(ratio, low=1 - MOST_APART, high=1 + MOST_APART)
    return said(f"{what} = {between(ratio)}, within {MOST_APART:.0%}", held=held)


def within(found: Interval, *, low: float, high: float) -> bool | None:
    """Whether an interval lies between two bounds; None where it does in part."""
    if low <= found.low and found.high <= high:
        return True
    return False if found.high < low or found.low > high else None


def between(found: Interval) -> str:
    """`1.004 (0.991 to 1.017)`."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def said(claim: str, *, held: bool | None) -> bool:
    """Tell a claim; one that this machine is too busy to judge is not counted as broken."""
    told = {True: "holds", False: "DOES NOT HOLD", None: f"cannot be told from {PAIRS} pairs"}
    print(f"claim: {claim}: {told[held]}", flush=True)
    return held is not False


def main(names: Sequence[str]) -> int:
    OUTPUT.mkdir(exist_ok=True)
    paths = [Path(name) for name in names] or [*files("mobilenetv2"), files("resnet50")[0]]
    held = [overhead_holds(), tiny_overhead_holds(files(TINY)[0])]
    held += [agrees(f"{path.name}: profiler / bare loop", against_bare(path)) for path in paths]
    app = shutil.which("benchmark_app", path=str(Path(sys.executable).parent))
    if app is None:
        print("benchmark_app is not here: pip install openvino; that claim was not tried")
    else:
        held += [agrees(f"{path.name}: profiler / benchmark_app", against_app(path, app))
                 for path in paths]  # fmt: skip
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
