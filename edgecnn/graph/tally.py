"""Sums over images of what a tensor is in four graphs: the error that is made there, in parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


class Tally:
    """Sums over images for one probe, channel by channel."""

    def __init__(
        self, probe: Probe, importance: Importance | None, factors: Factors | None
    ) -> None:
        self.probe = probe
        self._factors = np.ones(1, np.float32) if factors is None else factors
        self._importance = importance
        self._rank = 0
        self._count = 0
        self._sum: Importance = np.zeros(1)
        self._squares: Importance = np.zeros(1)
        self._peaks: Importance = np.zeros(1)
        self._noises: NDArray[np.float64] = np.zeros((5, 1))
        self._clipped = 0

    def look_at(self, reference: Array) -> None:
        """The whole tensor of the float model, for its largest values."""
        self._rank = reference.ndim
        rows = _by_channel(reference)
        self._peaks = np.maximum(self._peaks, np.abs(rows).max(axis=1, initial=0.0))

    def add(
        self, rows: FloatArray, reals: FloatArray, mades: FloatArray, halves: FloatArray
    ) -> None:
        """Samples (channels, values) of the float model, the quantized one, the two cut graphs."""
        self._count += rows.shape[1]
        self._sum = self._sum + rows.sum(axis=1, dtype=np.float64)
        self._squares = self._squares + np.square(rows, dtype=np.float64).sum(axis=1)
        factors = self._factors[:, None]
        inside = np.clip(halves, self.probe.low / factors, self.probe.high / factors)
        margin = self.probe.scale / 2 / factors if self.probe.bits is not None else 0.0
        self._clipped += int(np.count_nonzero(np.abs(halves - inside) > margin))
        pairs = (
            (halves, mades), (reals, halves), (halves, inside), (reals, mades), (reals, rows)
        )  # fmt: skip
        self._noises = self._noises + [
            np.square(a - b, dtype=np.float64).sum(axis=1) for a, b in pairs
        ]

    def unscaled(self, real: FloatArray) -> FloatArray:
        """Values of the quantized graph on the float model's scale."""
        if self._factors.size == 1:
            return real
        return real / self._factors.reshape(-1, *(1,) * (real.ndim - 2))

    @property
    def noises(self) -> list[float]:
        """Weight, activation, clipping, here and accumulated, as shares of the signal."""
        importance = self._importance
        if importance is None or importance.size != self._squares.size:
            importance = np.ones(self._squares.size)
        signal = float(importance @ (self._squares - self._constant()))
        if signal <= 0:
            signal = float(importance @ self._squares)
        noises = self._noises @ importance
        return [float(min(noise / max(signal, 1e-30), _WORST)) for noise in noises]

    def _constant(self) -> Importance:
        """The power of what tells nothing: a map's mean, or what a row's values have in common."""
        count = max(self._count, 1)
        if self._rank > 2:
            return np.square(self._sum) / count
        return np.full(self._sum.size, np.square(self._sum.mean()) / count)

    @property
    def clipped_share(self) -> float:
        """How many values lie outside the range, 0..1."""
        return self._clipped / max(self._count * self._squares.size, 1)

    @property
    def outputs(self) -> Spread | None:
        """How unequal the channels are, as the quantized graph holds them."""
        return spread(self._peaks * self._factors)

    @property
    def peak(self) -> float:
        """The largest magnitude over the root mean square."""
        mean = float(self._squares.sum()) / max(self._count * self._squares.size, 1)
        return float(self._peaks.max()) / max(math.sqrt(mean), 1e-30)


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
