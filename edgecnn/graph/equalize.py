"""Cross-layer equalization: let every channel of an activation use the integers that there are.

A channel of one layer may be scaled up if the next layer scales it down again (Nagel et al. 2019,
https://arxiv.org/abs/1906.04721, section 4.1). Weights have a scale for each channel here, so the
gain is in the activation between, whose channels share one. Two things differ from the paper: a
ReLU6 is respected, since no channel is scaled past the bound that it never reached, and how far to
go is decided for each pair by the noise that rounding would make, so weights that lie on a grid
already stay there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.qdq import LEVELS, quantize_weight
from edgecnn.graph.session import Session
from edgecnn.graph.targets import Target
from edgecnn.graph.weights import full_scales
from edgecnn.graph.wiring import FloatArray, attribute, put_constant, wiring

Factors = Mapping[str, tuple[float, ...]]
"""Tensor -> what each of its channels is multiplied by."""

MOST = 16.0
_EXPONENTS = np.linspace(0.0, 1.0, 11)
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer and the only layer that reads what it gives."""

    first: Layer
    second: Layer
    depthwise: bool
    bound: float
    """The upper bound of the activation function between, infinite where there is none."""


def find_pairs(model: ModelProto, plan: Plan) -> tuple[Pair, ...]:
    """The pairs of convolutions of a folded model whose channels may be scaled."""
    edges = wiring(model)
    layers = {layer.name: layer for layer in plan.layers}
    pairs: list[Pair] = []
    for first in plan.layers:
        reader = edges.only_consumer(first.output)
        second = layers.get(reader.name) if reader is not None else None
        if reader is None or second is None or {first.op_type, second.op_type} != {"Conv"}:
            continue
        inputs = edges.shape(first.weight)[0]
        groups = attribute(reader, "group", 1)
        if first.bias is not None and groups in (1, inputs):
            bound = plan.limits.get(first.output, (0.0, float("inf")))[1]
            pairs.append(Pair(first, second, depthwise=groups != 1, bound=bound))
    return tuple(pairs)


@dataclass(slots=True)
class ChannelPeaks:
    """The largest magnitude and the sum of mean squares of each channel, over `images` images."""

    peak: FloatArray
    power: FloatArray
    images: int = 0


def observe_channels(
    model: ModelProto,
    pairs: Iterable[Pair],
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> dict[str, ChannelPeaks]:
    """What the channels between the pairs look like in float; one pass, constant memory."""
    session = Session(model, [pair.first.output for pair in pairs], threads=threads)
    seen: dict[str, ChannelPeaks] = {}
    for image in images:
        for name, values in zip(session.names, session.run(image), strict=True):
            rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
            zeros = np.zeros(len(rows), np.float32)
            channels = seen.setdefault(name, ChannelPeaks(zeros, zeros))
            channels.peak = np.maximum(channels.peak, np.abs(rows).max(axis=1))
            channels.power = channels.power + np.square(rows).mean(axis=1)
            channels.images += 1
        if progress is not None:
            progress()
    return seen


def choose_factors(
    model: ModelProto, pairs: Iterable[Pair], seen: Mapping[str, ChannelPeaks], target: Target
) -> Factors:
    """The factors that make the least noise, pair after pair in graph order."""
    scaled = ModelProto()
    scaled.CopyFrom(model)
    chosen: dict[str, tuple[float, ...]] = {}
    for pair in pairs:
        name = pair.first.output
        factors = _best_factors(wiring(scaled).value(pair.second.weight), pair, seen[name], target)
        if factors.max() > 1:
            chosen[name] = tuple(float(factor) for factor in factors)
            scale_pair(scaled, pair, factors)
    return chosen


def equalize(model: ModelProto, plan: Plan, factors: Factors) -> ModelProto:
    """A copy of a folded model with these factors; raises GraphError where they do not fit."""
    scaled = ModelProto()
    scaled.CopyFrom(model)
    pairs = {pair.first.output: pair for pair in find_pairs(model, plan)}
    for name, values in factors.items():
        if name not in pairs or len(values) != wiring(model).shape(pairs[name].first.weight)[0]:
            raise GraphError(
                f"the ranges equalize {name!r}, which this model does not have",
                hint="calibrate this model itself",
            )
        scale_pair(scaled, pairs[name], np.array(values, np.float32))
    return scaled


def scale_pair(model: ModelProto, pair: Pair, factors: FloatArray) -> None:
    """Multiply the channels between a pair by `factors`, in place."""
    edges = wiring(model)
    weight, bias = edges.value(pair.first.weight), edges.value(str(pair.first.bias))
    put_constant(model, pair.first.weight, weight * factors.reshape(_on_axis(0, weight.ndim)))
    put_constant(model, str(pair.first.bias), bias * factors)
    second = edges.value(pair.second.weight)
    put_constant(model, pair.second.weight, _scaled_down(second, pair, factors))


def _scaled_down(weight: FloatArray, pair: Pair, factors: FloatArray) -> FloatArray:
    return weight / _for_inputs(weight, pair, factors)


def _for_inputs(weight: FloatArray, pair: Pair, values: FloatArray) -> FloatArray:
    """One value for each input channel, shaped to multiply the second weight of a pair."""
    if pair.depthwise:
        multiplier = weight.shape[0] // values.size
        return np.repeat(values, multiplier).reshape(_on_axis(0, weight.ndim))
    return values.reshape(_on_axis(1, weight.ndim))


def _on_axis(axis: int, rank: int) -> tuple[int, ...]:
    return tuple(-1 if index == axis else 1 for index in range(rank))


def _best_factors(weight: FloatArray, pair: Pair, seen: ChannelPeaks, target: Target) -> FloatArray:
    most = _largest_factors(pair, seen)
    if most.max() <= 1:
        return most
    candidates = [(most**exponent).astype(np.float32) for exponent in _EXPONENTS]
    return min(candidates, key=lambda factors: _noise(weight, pair, seen, factors, target))


def _largest_factors(pair: Pair, seen: ChannelPeaks) -> FloatArray:
    """How far each channel can grow before it reaches the bound, or the largest channel."""
    top = min(pair.bound, float(seen.peak.max()))
    ceiling = pair.bound if np.isfinite(pair.bound) else top
    factors = np.clip(ceiling / np.maximum(seen.peak, _TINY), 1.0, MOST)
    # A channel that reaches the bound is clipped there, and a channel never seen tells nothing.
    fixed = (seen.peak >= 0.999 * ceiling) | (seen.peak <= _TINY)
    return np.where(fixed, 1.0, factors).astype(np.float32)


def _noise(
    weight: FloatArray, pair: Pair, seen: ChannelPeaks, factors: FloatArray, target: Target
) -> float:
    """Power of the second layer's rounding noise: of its input's integers and of its weights.

    Rounding to steps of s adds noise of power s^2 / 12 to a value; an error e of a weight adds
    e^2 times the power of the values that it multiplies.
    """
    ceiling = pair.bound if np.isfinite(pair.bound) else float(seen.peak.max())
    step = ceiling / LEVELS
    scaled = _scaled_down(weight, pair, factors)
    scales = full_scales(scaled, axis=0, largest=target.largest_weight)
    integers = quantize_weight(scaled, scales, 0, target.largest_weight)
    error = integers * scales.reshape(_on_axis(0, weight.ndim)) - scaled
    power = factors**2 * seen.power / max(seen.images, 1)
    from_input = float(np.square(scaled).sum()) * step**2 / 12
    from_weights = float((np.square(error) * _for_inputs(weight, pair, power)).sum())
    return from_input + from_weights
