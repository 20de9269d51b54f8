"""Cross-layer equalization: let every channel of an activation use the integers that there are.

A channel of one layer may be scaled up if the layers that read it scale it down again (Nagel et al.
2019, https://arxiv.org/abs/1906.04721, section 4.1). Weights have a scale for each output channel
here, so the gain is in the activation between, whose channels share one. Two things differ from
the paper. A ReLU6 is respected: no channel is scaled past the bound that it never reached. And how
far to go is decided for each activation by the noise that rounding would make, so weights that lie
on a grid already stay there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from edgecnn.graph.integers import activation_qparams, quantize_weight
from edgecnn.graph.model_io import copied
from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.session import Session
from edgecnn.graph.targets import Target
from edgecnn.graph.weights import full_scales
from edgecnn.graph.wiring import FloatArray, Wiring, attribute, put_constant, wiring

MOST = 16.0
_EXPONENTS = np.linspace(0.0, 1.0, 11)
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Link:
    """Convolutions and those that alone read what they give, maybe joined or max-pooled between."""

    firsts: tuple[Layer, ...]
    """In the order of their channels."""
    between: str
    """The tensor with the channels of all of them."""
    readers: tuple[Layer, ...]
    grouped: tuple[bool, ...]
    """For each reader whether it is depthwise, with channels in a row from the same input."""
    bound: float
    """The upper bound of the activation function between, infinite where there is none."""


@dataclass(slots=True)
class ChannelStats:
    """The largest magnitude and the sum of mean squares of each channel, over `images` images."""

    peak: FloatArray
    power: FloatArray
    images: int = 0


def equalize(
    model: ModelProto,
    plan: Plan,
    target: Target,
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> ModelProto | None:
    """A copy of a folded model with its channels scaled; None where nothing can be gained.

    On the images it gives the same answers, up to float rounding.
    """
    links = find_links(model, plan)
    if not links:
        return None
    seen = observe_channels(model, links, images, threads=threads, progress=progress)
    scaled = copied(model)
    changed = False
    for link in links:
        factors = choose_factors(scaled, link, seen[link.between], plan, target)
        if factors.max() > 1:
            scale_channels(scaled, link, factors)
            changed = True
    return scaled if changed else None


def find_links(model: ModelProto, plan: Plan) -> tuple[Link, ...]:
    """The places of a folded model whose channels may be scaled."""
    edges = wiring(model)
    found: dict[str, Link] = {}
    for layer in (plan.stem, *plan.layers) if plan.stem else plan.layers:
        link = _link(edges, plan, layer)
        if link is not None:
            found.setdefault(link.between, link)
    return tuple(found.values())


def _link(edges: Wiring, plan: Plan, layer: Layer) -> Link | None:
    layers = {layer.name: layer for layer in plan.layers}
    firsts: tuple[Layer, ...] = (layer,)
    between = layer.output
    after = edges.only_consumer(between)
    if after is not None and after.op_type == "Concat" and attribute(after, "axis") == 1:
        by_output = {layer.output: layer for layer in plan.layers}
        # One that is joined twice counts once: it cannot be scaled in two ways.
        joined = dict.fromkeys(after.input)
        parts = [by_output.get(n) for n in joined if edges.only_consumer(n) is after]
        firsts = tuple(part for part in parts if part is not None)
        if len(firsts) < len(after.input):
            return None
        between = after.output[0]
    pool = edges.only_consumer(between)
    end = pool.output[0] if pool is not None and pool.op_type == "MaxPool" else between
    nodes = edges.consumers.get(end, ())
    readers = tuple(layers[node.name] for node in nodes if node.name in layers)
    channels = sum(edges.shape(first.weight)[0] for first in firsts)
    grouped = tuple(attribute(node, "group", 1) != 1 for node in nodes)
    bounds = {plan.limits.get(first.output, (0.0, math.inf))[1] for first in firsts}
    fits = (
        bool(nodes)
        and len(readers) == len(nodes)
        and not edges.outputs.intersection({between, end})
        and all(first.bias is not None for first in firsts)
        and all(layer.op_type == "Conv" for layer in (*firsts, *readers))
        and all(attribute(node, "group", 1) in (1, channels) for node in nodes)
        and len(bounds) == 1
    )
    return Link(firsts, between, readers, grouped, bounds.pop()) if fits else None


def observe_channels(
    model: ModelProto,
    links: Iterable[Link],
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> dict[str, ChannelStats]:
    """What the channels between layers look like in float; one pass, constant memory."""
    session = Session(model, [link.between for link in links], threads=threads)
    seen: dict[str, ChannelStats] = {}
    for image in images:
        for name, values in zip(session.names, session.run(image), strict=True):
            rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float32)
            zeros = np.zeros(len(rows), np.float32)
            stats = seen.setdefault(name, ChannelStats(zeros, zeros))
            stats.peak = np.maximum(stats.peak, np.abs(rows).max(axis=1))
            stats.power = stats.power + np.square(rows).mean(axis=1)
            stats.images += 1
        if progress is not None:
            progress()
    return seen


def choose_factors(
    model: ModelProto, link: Link, seen: ChannelStats, plan: Plan, target: Target
) -> FloatArray:
    """What each channel is multiplied by, at least 1, so that rounding makes the least noise."""
    ceiling = link.bound if np.isfinite(link.bound) else float(seen.peak.max())
    most = np.clip(ceiling / np.maximum(seen.peak, _TINY), 1.0, MOST)
    most = np.where(seen.peak <= _TINY, 1.0, most).astype(np.float32)
    step = float(activation_qparams(0.0, ceiling, plan.integers_of(link.between)).scale)
    edges = wiring(model)
    weights = [edges.value(reader.weight) for reader in link.readers]

    def noise(factors: FloatArray) -> float:
        power = np.square(factors) * seen.power / np.float32(max(seen.images, 1))
        return math.fsum(
            _noise(_divided(weight, factors, grouped), grouped, power, step, target)
            for weight, grouped in zip(weights, link.grouped, strict=True)
        )

    candidates = [(most**exponent).astype(np.float32) for exponent in _EXPONENTS]
    return min(candidates, key=noise)


def scale_channels(model: ModelProto, link: Link, factors: FloatArray) -> None:
    """Multiply the channels between layers by `factors`, in place."""
    edges = wiring(model)
    start = 0
    for first in link.firsts:
        weight, bias = edges.value(first.weight), edges.value(str(first.bias))
        own = factors[start : start + len(weight)]
        put_constant(model, first.weight, weight * own.reshape(-1, *(1,) * (weight.ndim - 1)))
        put_constant(model, str(first.bias), bias * own)
        start += len(weight)
    for reader, grouped in zip(link.readers, link.grouped, strict=True):
        divided = _divided(edges.value(reader.weight), factors, grouped)
        put_constant(model, reader.weight, divided)


def _noise(
    weight: FloatArray, grouped: bool, power: FloatArray, step: float, target: Target
) -> float:
    """Power of a reader's rounding noise: of its input's integers and of its weights.

    Rounding to steps of s adds noise of power s^2 / 12 to a value; an error e of a weight adds
    e^2 times the power of the values that it multiplies.
    """
    scales = full_scales(weight, axis=0, largest=target.largest_weight)
    integers = quantize_weight(weight, scales, 0, target.largest_weight)
    error = integers * scales.reshape(-1, *(1,) * (weight.ndim - 1)) - weight
    from_input = float(np.square(weight).sum()) * step**2 / 12
    return from_input + float((np.square(error) * _by_input(weight, power, grouped)).sum())


def _divided(weight: FloatArray, factors: FloatArray, grouped: bool) -> FloatArray:
    return weight / _by_input(weight, factors, grouped)


def _by_input(weight: FloatArray, values: FloatArray, grouped: bool) -> FloatArray:
    """One value for each input channel, shaped to multiply a reader's weight."""
    if not grouped:
        return values.reshape(1, -1, *(1,) * (weight.ndim - 2))
    return np.repeat(values, len(weight) // values.size).reshape(-1, *(1,) * (weight.ndim - 1))
