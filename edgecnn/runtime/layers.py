"""What an engine made of a file, layer by layer, and where the time of a run goes.

A profiler costs time itself, so runs without it are timed too, in turn with those that have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import TensorSpec
from edgecnn.errors import EngineError
from edgecnn.runtime.compiled import LITERT, OPENVINO, compile_engine
from edgecnn.runtime.engines.base import Layer, Profiled
from edgecnn.runtime.engines.providers import ONNXRUNTIME
from edgecnn.runtime.measure import Run, measure, middle, warm_up
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Tensor

PROFILED = (ONNXRUNTIME, *OPENVINO)
TOLD = (*PROFILED, LITERT)  # engines that tell their layers, though not all what they take

_BLOCKS = (2, 8)  # the fewest and the most
_BLOCK_NS = 80_000_000
_WHOLE_NS = 4_000_000_000  # where runs are so long that their fewest take longer, fewer blocks do
_RUNS = (3, 40)  # the fewest and the most of a block
_WARM_NS = 50_000_000
_QUICKER = 0.5


@dataclass(frozen=True, slots=True)
class LayerTime:
    """A layer and what it takes in a run, in ms."""

    layer: Layer
    time_ms: float


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """The layers in the order in which they ran, and the runs that they are a part of.

    Each time is the mean of the quicker half of `runs` runs, since other work on the CPU only ever
    adds: `run_ms` of a run as it ships, `profiled_ms` of one under the profiler, and each layer's.
    With OpenVINO they are means of all runs: of its layers it tells no more.
    """

    layers: tuple[LayerTime, ...]
    run_ms: float
    profiled_ms: float
    runs: int

    @property
    def layers_ms(self) -> float:
        """What the layers take together; the rest of `profiled_ms` passes between them."""
        return sum(each.time_ms for each in self.layers)

    @property
    def overhead(self) -> float:
        """What the profiler adds to a run, as a share of it; below zero it cannot be told."""
        return self.profiled_ms / self.run_ms - 1


def layer_times(model: Model, tensors: Sequence[Tensor], *, batch: int | None = None) -> LayerTimes:
    """The times of a loaded model's layers on preprocessed images, another one in each run.

    `batch` is for files that leave it open. Raises EngineError where the engine is none of
    `PROFILED`, FileError without a cache.
    """
    spec = model.engine.inputs[0]
    count = spec.batch or batch or 1
    feeds = [{spec.name: np.repeat(tensor, count, axis=0)} for tensor in tensors]
    threads = int(model.facts.get("threads", "1"))
    profiled = _profiled(model.path, engine=model.engine.name, sha256=model.sha256, threads=threads)
    runs: tuple[Run, Run] = (
        lambda index: _ignore(model.engine.run(feeds[index % len(feeds)])),
        lambda index: profiled.run(feeds[index % len(feeds)]),
    )
    run_ns = [middle(warm_up(run, floor_ns=_WARM_NS)) for run in runs]
    counts = [_block_runs(each) for each in run_ns]
    block_ns = sum(count * each for count, each in zip(counts, run_ns, strict=True))
    profiled.begin()
    plain_ns, profiled_ns = _in_turn(runs, counts, blocks=_between(_WHOLE_NS // block_ns, _BLOCKS))
    layers, times_ms = profiled.stop()
    share = _QUICKER if len(times_ms) > 1 else 1.0
    run_ms, profiled_ms = (
        _mean_of_quickest(np.array(seen)[:, np.newaxis] / 1e6, share)[0]
        for seen in (plain_ns, profiled_ns)
    )
    return LayerTimes(
        layers=tuple(map(LayerTime, layers, _mean_of_quickest(times_ms, share))),
        run_ms=run_ms,
        profiled_ms=profiled_ms,
        runs=len(profiled_ns),
    )


def check_profiled(engine: str) -> None:
    """Raise EngineError where the engine's profiler is not read."""
    if engine not in PROFILED:
        raise EngineError(
            f"{engine}: its profiler is not read here", hint=f"one of: {', '.join(PROFILED)}"
        )


def layers_of(path: Path, *, engine: str, sha256: str) -> tuple[Layer, ...]:
    """The layers that an engine makes of a file, in the order in which they run.

    Raises EngineError where the engine is none of `TOLD`, and what compiling the file raises.
    """
    if engine == LITERT:
        from edgecnn.runtime.engines import litert

        return litert.layers_of(compile_engine(path, engine=engine, sha256=sha256).graph)
    profiled = _profiled(path, engine=engine, sha256=sha256, threads=1)
    profiled.run({spec.name: np.zeros(_sizes(spec), spec.dtype) for spec in profiled.inputs})
    return profiled.stop()[0]


def _profiled(path: Path, *, engine: str, sha256: str, threads: int) -> Profiled:
    check_profiled(engine)
    graph = compile_engine(path, engine=engine, sha256=sha256).graph
    if engine in OPENVINO:
        from edgecnn.runtime.engines.openvino_layers import OpenvinoProfiled

        return OpenvinoProfiled(graph, engine=engine, threads=threads)
    from edgecnn.runtime.engines.ort_layers import OrtProfiled

    return OrtProfiled(graph, threads=threads)


def _in_turn(runs: Sequence[Run], counts: Sequence[int], *, blocks: int) -> tuple[list[int], ...]:
    """The latencies of several runs in ns, visited block by block, `counts` runs in each."""
    latencies_ns: tuple[list[int], ...] = tuple([] for _ in runs)
    for block in range(blocks):
        for run, count, seen in zip(runs, counts, latencies_ns, strict=True):
            seen.extend(measure(run, runs=count, first=block * count))
    return latencies_ns


def _block_runs(run_ns: int) -> int:
    return _between(_BLOCK_NS // max(1, run_ns), _RUNS)


def _between(count: int, limits: tuple[int, int]) -> int:
    fewest, most = limits
    return min(most, max(fewest, count))


def _mean_of_quickest(times_ms: NDArray[np.float64], share: float) -> list[float]:
    """Of each column the mean of its smallest values."""
    ordered = np.sort(times_ms, axis=0)[: math.ceil(len(times_ms) * share)]
    return [float(value) for value in ordered.mean(axis=0)]


def _sizes(spec: TensorSpec) -> tuple[int, ...]:
    """Its shape, with one for what is open."""
    return tuple(size if isinstance(size, int) else 1 for size in spec.shape)


def _ignore(result: object) -> None:
    del result
