"""Whether more images would still move the ranges: two halves of a set are asked separately."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import observe
from edgecnn.graph.plan import make_plan
from edgecnn.graph.targets import find_target
from edgecnn.graph.thresholds import Range, learn
from edgecnn.graph.wiring import FloatArray

TARGET = "onnxruntime-x86"  # which tensors are asked about hardly depends on it
METHOD = "percentile"  # the smoothest of the methods: the others jump from one step to the next


@dataclass(frozen=True, slots=True)
class Convergence:
    """How far apart the ranges of two halves lie: `apart` is a share of a tensor's range.

    `images` is how many there are in both halves together.
    """

    images: int
    apart: Mapping[str, float]

    def change(self, more: int) -> dict[str, float]:
        """By which share of itself each range is expected to move with `more` images.

        The error of a mean of n independent images has the variance v/n: halves then differ by
        4v/n in the square, and n and n + m images, which share n, by v m / (n (n + m)). A range
        that is a percentile behaves like a mean; the expectation of one tensor is rough, that of
        all of them on average is not.
        """
        share = math.sqrt(more / (self.images + more)) / 2
        return {name: apart * share for name, apart in self.apart.items()}


def convergence(
    source: Path | ModelProto,
    halves: tuple[Iterable[FloatArray], Iterable[FloatArray]],
    *,
    target: str = TARGET,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> Convergence:
    """Learn the ranges that a target needs from each half of preprocessed images (1, ...).

    Raises ModelError or GraphError where the model cannot be quantized.
    """
    model = fold(read_model(source))
    watched = make_plan(model, find_target(target)).watched
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if progress is not None:
            progress()

    first, second = (
        learn(observe(model, watched, half, threads=threads, progress=tick), lambda _: METHOD)
        for half in halves
    )
    return Convergence(count, {name: _apart(first[name], second[name]) for name in watched})


def _apart(one: Range, other: Range) -> float:
    """How much of their mean width two ranges do not share at both ends together."""
    width = (one[1] - one[0] + other[1] - other[0]) / 2
    moved = abs(one[0] - other[0]) + abs(one[1] - other[1])
    return moved / width if width > 0 else float(moved > 0)
