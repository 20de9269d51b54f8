"""What a graph costs more than another one: both run in turns, on one thread, as they ship."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from edgecnn.graph.session import Session
from edgecnn.graph.wiring import FloatArray
from edgecnn.runtime.measure import measure, middle, warm_up

_BLOCKS = 11
_BLOCK_NS = 5_000_000
_WARM_NS = 30_000_000
_WARM_CAP_NS = 150_000_000
_MS = 1e-6  # ms in a ns


@dataclass(frozen=True, slots=True)
class Extra:
    """The latency of a graph and what another one takes on top of it, ms on one thread."""

    base_ms: float
    extra_ms: float


def extra_latency(base: Path | ModelProto, rival: Path | ModelProto, image: FloatArray) -> Extra:
    """Measure two graphs on a preprocessed image, in blocks that alternate.

    The time is the thread's own CPU time, into which other programs do not count, and what is left
    of them only ever adds: the quickest run of each graph stands for it. Raises GraphError where
    ONNX Runtime refuses one of them.
    """
    runs = [_runner(model, image) for model in (base, rival)]
    first_ns, _ = (middle(_warm(run)) for run in runs)
    count = max(3, min(100, _BLOCK_NS // max(first_ns, 1)))
    blocks = [[_block_ms(run, count) for run in runs] for _ in range(_BLOCKS)]
    base_ms, rival_ms = (min(column) for column in zip(*blocks, strict=True))
    return Extra(base_ms, rival_ms - base_ms)


def _warm(run: Callable[[int], None]) -> tuple[int, ...]:
    return warm_up(run, floor_ns=_WARM_NS, cap_ns=_WARM_CAP_NS, clock=time.thread_time_ns)


def _runner(model: Path | ModelProto, image: FloatArray) -> Callable[[int], None]:
    session = Session(model, threads=1)

    def run(_: int) -> None:
        session.run(image)

    return run


def _block_ms(run: Callable[[int], None], count: int) -> float:
    return min(measure(run, runs=count, clock=time.thread_time_ns)) * _MS
