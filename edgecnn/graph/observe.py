"""What activations look like: one pass over the calibration images, one histogram a tensor.

Memory is one histogram for each watched tensor, whatever the number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.session import Session
from edgecnn.graph.wiring import FloatArray

if TYPE_CHECKING:
    from edgecnn.graph.checkpoint import Checkpoint

BINS = 2048
_SAMPLE = 1 << 16  # values of one image that a histogram counts; all would take 10 x the time
_LEAST_SPREAD = 1e-30


class Histogram:
    """Counts in BINS bins of one width, a power of two, so that doubling it only merges pairs.

    Bin i covers [(first + i) * width, (first + i + 1) * width); `low` and `high` are exact.
    """

    __slots__ = ("_offset", "counts", "first", "high", "low", "width")

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.first = 0
        self.width = 0.0
        self.low = float("inf")
        self.high = float("-inf")
        self._offset = 0

    def add(self, values: FloatArray) -> None:
        """Count an array of any shape, a large one by evenly spaced samples.

        Raises ValueError where it holds NaN or infinity.
        """
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("NaN or infinity")
        self._make_room(min(low, self.low), max(high, self.high))
        places = self._sample(values.ravel()) * np.float32(1 / self.width)
        places -= np.float32(self.first)
        # Truncation is the floor here: no place is below zero, up to float rounding at the edges.
        codes = np.clip(places, 0, BINS - 1, out=places).astype(np.int16)
        self.counts += np.bincount(codes, minlength=BINS)

    def _sample(self, values: FloatArray) -> FloatArray:
        """Every n-th value, another n-th at each call, so that no column is always left out."""
        step = -(-values.size // _SAMPLE)
        self._offset = (self._offset + 1) % step
        return values[self._offset :: step]

    @property
    def numbers(self) -> tuple[float, float, float, int, int]:
        """All but the counts; `restored` takes both."""
        return self.width, self.low, self.high, self.first, self._offset

    @classmethod
    def restored(cls, counts: NDArray[np.int64], numbers: Sequence[float]) -> Histogram:
        """The histogram with these counts (BINS,) and numbers; raises ValueError."""
        made = cls()
        width, low, high, first, offset = map(float, numbers)
        made.counts, made.width, made.low, made.high = counts.copy(), width, low, high
        made.first, made._offset = int(first), int(offset)
        return made

    def centers(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        return np.asarray((np.arange(BINS) + self.first + 0.5) * self.width, np.float64)

    def _make_room(self, low: float, high: float) -> None:
        """Widen the window, which always holds zero, as little as a power of two allows."""
        if self.low <= low and high <= self.high:
            return
        self.low, self.high = low, high
        low, high = min(low, 0.0), max(high, 0.0)
        if self.width == 0.0:
            self.width = _narrow_width(high - low)
        while _bin(high, self.width) - _bin(low, self.width) >= BINS:
            self._double()
        self._move(_bin(low, self.width))

    def _double(self) -> None:
        places = (np.arange(BINS) + self.first) // 2
        first = int(places[0])
        self.counts = np.bincount(places - first, weights=self.counts, minlength=BINS).astype(
            np.int64
        )
        self.first, self.width = first, self.width * 2

    def _move(self, first: int) -> None:
        """Shift the window so that it starts at bin `first`; only empty bins may fall out."""
        shifted = np.zeros(BINS, np.int64)
        offset = self.first - first
        filled = np.flatnonzero(self.counts)
        shifted[filled + offset] = self.counts[filled]
        self.counts, self.first = shifted, first


def _narrow_width(spread: float) -> float:
    """A power of two that is at most the width that BINS bins need."""
    return float(2.0 ** np.floor(np.log2(max(spread, _LEAST_SPREAD) / BINS)))


def _bin(value: float, width: float) -> int:
    return int(np.floor(value / width))


def observe(
    model: ModelProto,
    tensors: Sequence[str],
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Histogram]:
    """Histograms of some tensors of an FP32 model over preprocessed images of shape (1, ...).

    With a `checkpoint` the state is kept while it works, and an interrupted run goes on. Raises
    GraphError where a tensor is not finite.
    """
    start, histograms = 0, {name: Histogram() for name in tensors}
    if checkpoint is not None:
        start, histograms = checkpoint.recall(tensors)
        images = checkpoint.images_from(start) if start else images
    tick = progress or _nothing
    for _ in range(start):
        tick()
    graph_input = model.graph.input[0].name
    computed = [name for name in tensors if name != graph_input]
    session = Session(model, computed, threads=threads)
    for done, image in enumerate(images, start=start + 1):
        if graph_input in histograms:
            _add(histograms, graph_input, image)
        for name, values in zip(session.names, session.run(image), strict=True):
            _add(histograms, name, values.astype(np.float32, copy=False))
        tick()
        if checkpoint is not None:
            checkpoint.pass_by(done, histograms)
    return histograms


def _nothing() -> None:
    """Nobody wants to know."""


def _add(histograms: dict[str, Histogram], name: str, values: FloatArray) -> None:
    try:
        histograms[name].add(values)
    except ValueError as error:
        raise GraphError(
            f"activation {name!r} is {error} on a calibration image",
            hint="check the model's weights and the preprocessing (scale, mean, std)",
        ) from error
