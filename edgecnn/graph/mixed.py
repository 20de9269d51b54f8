"""A method for each tensor: the one whose rounding harms least what is made of the tensor.

The float model is cut at every tensor that is quantized. With all of them rounded to the ranges of
one method, each piece gives what the rounding of its inputs alone does to its output. There the
methods are compared, tensor by tensor; what a sum reads is rounded by the same method together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from onnx import ModelProto

from edgecnn.graph.importance import importances
from edgecnn.graph.integers import Integers, activation_qparams
from edgecnn.graph.plan import Plan
from edgecnn.graph.probe import Probe, cut, made_name, stretches
from edgecnn.graph.session import Array, Session
from edgecnn.graph.tally import sample
from edgecnn.graph.thresholds import Range
from edgecnn.graph.wiring import FloatArray, wiring

IMAGES = 16
_LEAST_POWER = 1e-30


def best_methods(
    model: ModelProto,
    plan: Plan,
    ranges: Mapping[str, Mapping[str, Range]],
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
) -> dict[str, str]:
    """By tensor of `plan.watched`, the method that makes the least error behind it.

    `model` is the folded float model, `ranges` holds by method (low, high) of each of
    `plan.watched`, `images` are preprocessed tensors. Of methods that do equally well the first
    counts.
    """
    answers = (item.name for item in model.graph.output)
    probes = tuple(Probe(name, name) for name in dict.fromkeys((*plan.tensors, *answers)))
    behind = _behind(model, plan, probes)
    pieces = _Pieces(model, plan, probes, threads)
    for image in images:
        pieces.compare(image, ranges)
    return {
        name: min(ranges, key=lambda method: pieces.harm(method, behind[name]))
        for name in plan.watched
    }


def _behind(model: ModelProto, plan: Plan, probes: tuple[Probe, ...]) -> dict[str, list[str]]:
    """By tensor of `plan.watched`, what is made of it and of those that have its scale."""
    found: dict[str, list[str]] = {name: [] for name in plan.watched}
    for made, stretch in stretches(model, probes).items():
        read = {name for node in stretch.nodes for name in node.input}
        for owner in {plan.shared.get(name, name) for name in plan.tensors if name in read}:
            found[owner].append(made)
    return found


class _Pieces:
    """The float model, whole and cut, and the powers that were seen behind the cuts."""

    def __init__(
        self, model: ModelProto, plan: Plan, probes: tuple[Probe, ...], threads: int
    ) -> None:
        edges = wiring(model)
        # As constants they would be in memory once more, and again as the session packs them.
        self._constant = {layer.weight: edges.value(layer.weight) for layer in plan.layers}
        part = cut(model, probes, open_weights=self._constant)
        self._plan = plan
        self._weights = importances(model)
        self._input = model.graph.input[0].name
        names = (item.name for item in part.graph.input)
        self._given = [name for name in names if name not in self._constant]
        inner = [probe.tensor for probe in probes if probe.tensor != self._input]
        self._whole = Session(model, inner, threads=threads, frugal=True)
        self._part = Session(part, threads=threads, frugal=True)
        by_key = {made_name(probe.tensor): probe.tensor for probe in probes}
        self._made = tuple(by_key[key] for key in self._part.names)
        self._signal: dict[str, float] = defaultdict(float)
        self._noise: dict[tuple[str, str], float] = defaultdict(float)

    def compare(self, image: FloatArray, ranges: Mapping[str, Mapping[str, Range]]) -> None:
        """Round all tensors by each method and look at what is made of them."""
        image = self._whole.batched(image)
        exact: dict[str, Array] = dict(zip(self._whole.names, self._whole.run(image), strict=True))
        exact[self._input] = image
        rows = {name: sample(exact[name]) for name in self._made}
        for name, values in rows.items():
            across = 1 if exact[name].ndim > 2 else None
            self._signal[name] += self._power(name, values - values.mean(across, keepdims=True))
        for method, by_tensor in ranges.items():
            given = {name: self._rounded(name, exact[name], by_tensor) for name in self._given}
            made = self._part.feed({**given, **self._constant})
            for name, rounded in zip(self._made, made, strict=True):
                self._noise[method, name] += self._power(name, sample(rounded) - rows[name])

    def harm(self, method: str, made: Iterable[str]) -> float:
        """The errors of some tensors as shares of their signals, summed up."""
        shares = (
            self._noise[method, name] / max(self._signal[name], _LEAST_POWER) for name in made
        )
        return sum(shares)

    def _rounded(self, name: str, values: Array, ranges: Mapping[str, Range]) -> Array:
        if name not in self._plan.tensors:
            return values
        low_high = ranges[self._plan.shared.get(name, name)]
        return _as_integers(values, low_high, self._plan.integers_of(name))

    def _power(self, name: str, values: FloatArray) -> float:
        """Of values (channels, ...), each channel as heavy as it is in the answers."""
        power = np.square(values, dtype=np.float64).sum(axis=1)
        weights = self._weights.get(name)
        if weights is None or weights.size != power.size:
            return float(power.sum())
        return float(weights @ power)


def _as_integers(values: Array, low_high: Range, integers: Integers) -> FloatArray:
    """Values as integers hold them that were given a range."""
    qparams = activation_qparams(*low_high, integers)
    steps = np.rint(values.astype(np.float32, copy=False) / qparams.scale)
    least, most = integers.low - qparams.zero_point, integers.high - qparams.zero_point
    return np.asarray(np.clip(steps, least, most, out=steps) * qparams.scale, np.float32)
