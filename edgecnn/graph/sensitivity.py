"""What each layer adds to the error of a quantized model, on images, behind the quantized prefix.

One streaming pass. For each image the quantized graph gives the integers of every tensor; the
float graph, cut at those tensors, gives what float arithmetic would have made of a layer's
quantized inputs. Their difference is the error that this layer adds; the difference from the float
model is the error that has piled up. Both are told as shares of the signal's power, which add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.channels import Factors, channel_factors, unscaled
from edgecnn.graph.check import BEST_DB
from edgecnn.graph.fold import channel_axis
from edgecnn.graph.importance import Importance, importances
from edgecnn.graph.probe import (
    Probe,
    RoundedLayer,
    Stretch,
    cut,
    find_probes,
    made_name,
    rounded_layers,
    stretches,
    with_rounded_weights,
)
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import FloatArray, wiring

_SAMPLE = 1 << 16  # values of one tensor and image that are compared
_WORST = 1e6


@dataclass(frozen=True, slots=True)
class Spread:
    """The channel with the largest magnitude, and how many times the median channel's it is."""

    channel: int
    times: float


@dataclass(frozen=True, slots=True)
class LayerError:
    """The error of one stretch of a network, named by its last layer with weights.

    Noises are shares of the power of the tensor's signal: the float model's values around the mean
    of their channel, each channel as heavy as it is in the answers. `weight` comes from rounded
    weights and biases, `activation` from rounding and clipping the output, `clipping` from
    clipping alone, `accumulated` from everything so far. `clipped_share` counts values outside the
    range. `weights` and `outputs` say how unequal the channels are (None without channels to
    compare); `layers` names all layers in the stretch.
    """

    name: str
    tensor: str
    ops: tuple[str, ...]
    layers: tuple[str, ...]
    weight: float
    activation: float
    clipping: float
    here: float
    accumulated: float
    clipped_share: float
    weight_scales: int
    weights: Spread | None
    outputs: Spread | None
    peak: float
    """The largest magnitude seen over the root mean square of all values."""

    @property
    def here_db(self) -> float:
        """The signal over the error that this layer adds."""
        return decibels(self.here)

    @property
    def accumulated_db(self) -> float:
        """The signal over the error of everything up to here."""
        return decibels(self.accumulated)


def decibels(noise: float) -> float:
    """A share of noise as a signal-to-noise ratio in dB."""
    return float(min(BEST_DB, -10 * np.log10(max(noise, 1e-12))))


def sensitivity(
    model: ModelProto,
    quantized: ModelProto,
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> tuple[LayerError, ...]:
    """The errors of a quantized model against its folded float model, in graph order.

    `images` are preprocessed tensors of shape (batch, ...). Raises GraphError where the two do not
    belong together.
    """
    probes = find_probes(model, quantized)
    layers = rounded_layers(model, quantized)
    factors, weighed = channel_factors(model, layers), importances(model)
    half = with_rounded_weights(model, unscaled(model, layers, factors))
    bench = _Bench(model, quantized, probes, (cut(model, probes), cut(half, probes)), threads)
    tallies = {
        probe.tensor: _Tally(probe, weighed.get(probe.tensor), factors.get(probe.tensor))
        for probe in probes
    }
    for image in images:
        bench.compare(image, tallies)
        if progress is not None:
            progress()
    found = stretches(model, probes)
    weights = _weight_spreads(model)
    return tuple(
        _told(tallies[probe.tensor], found[probe.tensor], layers, weights) for probe in probes
    )


class _Bench:
    """The four graphs that look at each image."""

    def __init__(
        self,
        model: ModelProto,
        quantized: ModelProto,
        probes: tuple[Probe, ...],
        parts: tuple[ModelProto, ModelProto],
        threads: int,
    ) -> None:
        self._probes = probes
        self._input = model.graph.input[0].name
        names = [probe.tensor for probe in probes if probe.tensor != self._input]
        self._given = [item.name for item in parts[0].graph.input]
        self._reference = Session(model, names, threads=threads)
        self._quantized = Session(quantized, [probe.found for probe in probes], threads=threads)
        self._float, self._half = (Session(part, threads=threads) for part in parts)

    def compare(self, image: FloatArray, tallies: Mapping[str, _Tally]) -> None:
        integers = dict(zip(self._quantized.names, self._quantized.run(image), strict=True))
        real = {
            probe.tensor: tallies[probe.tensor].unscaled(probe.real(integers[probe.found]))
            for probe in self._probes
        }
        reference = dict(zip(self._reference.names, self._reference.run(image), strict=True))
        reference[self._input] = image
        for probe in self._probes:
            _check_shape(probe.tensor, real[probe.tensor], reference[probe.tensor])
        given: dict[str, Array] = {name: real.get(name, image) for name in self._given}
        made, half = (
            dict(zip(part.names, part.feed(given), strict=True))
            for part in (self._float, self._half)
        )
        for name, tally in tallies.items():
            key, exact = made_name(name), reference[name]
            rows = (exact, real[name], made.get(key, exact), half.get(key, exact))
            tally.add(*(np.asarray(values, np.float32) for values in rows))


def _check_shape(name: str, ours: Array, theirs: Array) -> None:
    if ours.shape != theirs.shape:
        raise GraphError(
            f"its tensor {name!r} has the shape {ours.shape}, in the float model {theirs.shape}",
            hint="give the very float file that it was quantized from",
        )


class _Tally:
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

    def add(
        self, reference: FloatArray, real: FloatArray, made: FloatArray, half: FloatArray
    ) -> None:
        """Values of the float model, the quantized one, and the two cut graphs."""
        self._rank = reference.ndim
        rows = _by_channel(reference)
        self._peaks = np.maximum(self._peaks, np.abs(rows).max(axis=1, initial=0.0))
        step = -(-reference.size // _SAMPLE)
        rows, reals, mades, halves = (
            _by_channel(value)[:, ::step] for value in (reference, real, made, half)
        )
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


def _by_channel(values: FloatArray) -> FloatArray:
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


def _weight_spreads(model: ModelProto) -> dict[str, Spread | None]:
    edges = wiring(model)
    found: dict[str, Spread | None] = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in edges.constants:
            weight = np.moveaxis(edges.value(node.input[1]), channel_axis(node), 0)
            found[node.name] = spread(np.abs(weight.reshape(len(weight), -1)).max(axis=1))
    return found


def _told(
    tally: _Tally,
    stretch: Stretch,
    layers: Mapping[str, RoundedLayer],
    weights: Mapping[str, Spread | None],
) -> LayerError:
    weight, activation, clipping, here, accumulated = tally.noises
    name = stretch.name or tally.probe.tensor
    return LayerError(
        name=name,
        tensor=tally.probe.tensor,
        ops=tuple(node.op_type for node in stretch.nodes),
        layers=stretch.layers,
        weight=weight,
        activation=activation,
        clipping=clipping,
        here=here,
        accumulated=accumulated,
        clipped_share=tally.clipped_share,
        weight_scales=layers[name].scales if name in layers else 0,
        weights=weights.get(name),
        outputs=tally.outputs,
        peak=tally.peak,
    )
