"""Sums over images of what a tensor is in four graphs: the error that is made there, in parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.graph.channels import Factors
from edgecnn.graph.importance import Importance
from edgecnn.graph.probe import Probe
from edgecnn.graph.session import Array
from edgecnn.graph.wiring import FloatArray

_SAMPLE = 1 << 16  # values of one tensor and image that are compared
_WORST = 1e6


@dataclass(frozen=True, slots=True)
class Spread:
    """The channel with the largest magnitude, and how many times the median channel's it is."""

    channel: int
    times: float


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What is summed up over images, channel by channel: values, their squares, the squares of five
    errors as float64 (5, channels); `peaks` are the largest magnitudes, `clipped` counts values.
    """

    rank: int = 0
    count: int = 0
    clipped: int = 0
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    peaks: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    noises: NDArray[np.float64] = field(default_factory=lambda: np.zeros((5, 1)))

    def plus(self, other: Sums) -> Sums:
        """The sums over the images of both."""
        return Sums(
            rank=max(self.rank, other.rank),
            count=self.count + other.count,
            clipped=self.clipped + other.clipped,
            values=self.values + other.values,
            squares=self.squares + other.squares,
            peaks=np.maximum(self.peaks, other.peaks),
            noises=self.noises + other.noises,
        )

    def document(self) -> dict[str, Any]:
        """As JSON, with all digits."""
        arrays = {name: getattr(self, name).tolist() for name in _SUMMED}
        return {"rank": self.rank, "count": self.count, "clipped": self.clipped, **arrays}


_SUMMED = ("values", "squares", "peaks", "noises")


def parse_sums(said: Mapping[str, Any]) -> Sums:
    """Sums from their JSON; KeyError, TypeError or ValueError for what cannot be some."""
    rank, count, clipped = (int(said[name]) for name in ("rank", "count", "clipped"))
    arrays = {name: np.array(said[name], dtype=np.float64) for name in _SUMMED}
    shape = arrays["values"].shape
    if [each.shape for each in arrays.values()] != [shape, shape, shape, (5, *shape)]:
        raise ValueError("sums of unlike shapes")
    if len(shape) != 1 or not all(np.isfinite(each).all() for each in arrays.values()):
        raise ValueError("sums that are no finite rows")
    if min(rank, count, clipped) < 0:
        raise ValueError("counts below zero")
    return Sums(rank, count, clipped, **arrays)


class Tally:
    """Sums over images for one probe, and what they say."""

    def __init__(
        self, probe: Probe, importance: Importance | None, factors: Factors | None
    ) -> None:
        self.probe = probe
        self.sums = Sums()
        self._factors = np.ones(1, np.float32) if factors is None else factors
        self._importance = importance

    def look_at(self, reference: Array) -> None:
        """The whole tensor of the float model, for its largest values."""
        peaks = np.abs(_by_channel(reference)).max(axis=1, initial=0.0)
        self.sums = self.sums.plus(Sums(rank=reference.ndim, peaks=peaks))

    def add(
        self, rows: FloatArray, reals: FloatArray, mades: FloatArray, halves: FloatArray
    ) -> None:
        """Samples (channels, values) of the float model, the quantized one, the two cut graphs."""
        factors = self._factors[:, None]
        inside = np.clip(halves, self.probe.low / factors, self.probe.high / factors)
        margin = self.probe.scale / 2 / factors if self.probe.bits is not None else 0.0
        pairs = (
            (halves, mades), (reals, halves), (halves, inside), (reals, mades), (reals, rows)
        )  # fmt: skip
        noises = [np.square(a - b, dtype=np.float64).sum(axis=1) for a, b in pairs]
        more = Sums(
            count=rows.shape[1],
            clipped=int(np.count_nonzero(np.abs(halves - inside) > margin)),
            values=rows.sum(axis=1, dtype=np.float64),
            squares=np.square(rows, dtype=np.float64).sum(axis=1),
            noises=np.array(noises),
        )
        self.sums = self.sums.plus(more)

    def unscaled(self, real: FloatArray) -> FloatArray:
        """Values of the quantized graph on the float model's scale."""
        if self._factors.size == 1:
            return real
        return real / self._factors.reshape(-1, *(1,) * (real.ndim - 2))

    @property
    def noises(self) -> list[float]:
        """Weight, activation, clipping, here and accumulated, as shares of the signal."""
        importance = self._importance
        if importance is None or importance.size != self.sums.squares.size:
            importance = np.ones(self.sums.squares.size)
        signal = float(importance @ (self.sums.squares - self._constant()))
        if signal <= 0:
            signal = float(importance @ self.sums.squares)
        noises = self.sums.noises @ importance
        return [float(min(noise / max(signal, 1e-30), _WORST)) for noise in noises]

    def _constant(self) -> Importance:
        """The power of what tells nothing: a map's mean, or what a row's values have in common."""
        count = max(self.sums.count, 1)
        if self.sums.rank > 2:
            return np.square(self.sums.values) / count
        return np.full(self.sums.values.size, np.square(self.sums.values.mean()) / count)

    @property
    def clipped_share(self) -> float:
        """How many values lie outside the range, 0..1."""
        return self.sums.clipped / max(self.sums.count * self.sums.squares.size, 1)

    @property
    def outputs(self) -> Spread | None:
        """How unequal the channels are, as the quantized graph holds them."""
        return spread(self.sums.peaks * self._factors)

    @property
    def peak(self) -> float:
        """The largest magnitude over the root mean square."""
        mean = float(self.sums.squares.sum()) / max(self.sums.count * self.sums.squares.size, 1)
        return float(self.sums.peaks.max()) / max(math.sqrt(mean), 1e-30)


def sample(values: Array) -> FloatArray:
    """Evenly spaced values of a tensor, (channels, values)."""
    step = -(-values.size // _SAMPLE)
    return np.asarray(_by_channel(values)[:, ::step], np.float32, order="C")


def _by_channel(values: Array) -> Array:
    """(channels, values) of a tensor whose channels are axis 1."""
    if values.ndim < 2:
        return values.reshape(1, -1)
    return np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)


def spread(peaks: NDArray[np.floating]) -> Spread | None:
    """How far the largest of some magnitudes stands out of the median of those above zero."""
    alive = peaks[peaks > 0]
    if alive.size < 2:
        return None
    return Spread(int(np.argmax(peaks)), float(peaks.max() / np.median(alive)))
