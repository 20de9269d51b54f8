"""Which layers to put back to float, in the order of most accuracy per millisecond.

The errors that layers add are shares of the signal's power; what is left of them after some layers
are float again predicts the error of the answers. A float layer between integers keeps its
rounded input and output: it gives back the error of its weights. A tensor is spared where whoever
makes it and whoever reads it are float together, so such groups stand for election too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.latency import Extra, extra_latency
from edgecnn.graph.plan import Plan, make_plan
from edgecnn.graph.probe import find_probes
from edgecnn.graph.qdq import write_qdq
from edgecnn.graph.sensitivity import LayerError
from edgecnn.graph.targets import Target
from edgecnn.graph.weights import full_scales
from edgecnn.graph.wiring import FloatArray, wiring

MOST_CHOICES = 24  # groups whose price is measured: each takes a good part of a second
_LEAST_SHARE = 0.005  # of the error: what gives back less is not worth a measurement
_PRICE_FLOOR = 0.02  # of the latency: smaller prices are noise


@dataclass(frozen=True, slots=True)
class Choice:
    """Nodes that go back to float together.

    `spared` is the share of the whole error that they give back after all choices before them,
    `extra_ms` what they alone cost on one thread; `left` is the share that remains after them.
    """

    names: tuple[str, ...]
    spared: float
    extra_ms: float
    left: float

    @property
    def gained_db(self) -> float:
        """The error of the answers is expected to fall so far, with all choices before."""
        return -10 * math.log10(max(self.left, 1e-6))


class Rescue:
    """A quantized model, the float model it came from, and the errors that its layers add."""

    def __init__(
        self,
        model: ModelProto,
        quantized: ModelProto,
        target: Target,
        errors: Sequence[LayerError],
        *,
        kept: Collection[str] = (),
    ) -> None:
        self._model = model
        self._quantized = quantized
        self._target = target
        self._kept = tuple(kept)
        self._edges = wiring(model)
        self._plan = make_plan(model, target, keep_float=self._kept)
        self._weights = {error.name: error.weight for error in errors}
        self._activations = {error.tensor: error.activation for error in errors}
        self._ranges = {
            probe.tensor: (probe.low, probe.high)
            for probe in find_probes(model, quantized)
            if probe.bits is not None
        }

    def noise(self, names: Collection[str] = ()) -> float | None:
        """All errors with some more nodes in float; None where no layer would be left."""
        plan = self._without(names)
        if plan is None:
            return None
        weights = sum(self._weights.get(layer.name, 0.0) for layer in plan.layers)
        tensors = (self._plan.shared.get(name, name) for name in plan.watched)
        return weights + sum(self._activations.get(name, 0.0) for name in tensors)

    def order(
        self, image: FloatArray, *, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Choice, ...]:
        """What to put back first, second and so on; `image` is what prices are measured with."""
        whole = self.noise() or 0.0
        groups = self._elected(whole)
        prices: dict[tuple[str, ...], Extra] = {}
        for done, group in enumerate(groups, start=1):
            prices[group] = self.price(group, image)
            if progress is not None:
                progress(done, len(groups))
        return tuple(self._greedy(groups, prices, whole))

    def price(self, names: Collection[str], image: FloatArray) -> Extra:
        """What some nodes in float cost, measured; the graphs hold rounded weights as they come."""
        rival = self._without(names)
        return extra_latency(self._quantized, self._written(rival or self._plan), image)

    def cure(self, error: LayerError) -> tuple[str, ...]:
        """The nodes that must be float for a stretch to add no error, as far as one group can."""
        if error.weight > error.activation:
            return (error.name,)
        return self._group(error.tensor)

    def _without(self, names: Collection[str]) -> Plan | None:
        try:
            return make_plan(self._model, self._target, keep_float={*self._kept, *names})
        except GraphError:
            return None

    def _written(self, plan: Plan) -> ModelProto:
        scales = {
            layer.name: full_scales(
                self._edges.value(layer.weight),
                axis=layer.axis,
                largest=self._target.largest_weight,
            )
            for layer in plan.layers
        }
        shared = self._plan.shared
        ranges = {
            name: self._ranges.get(name, self._ranges.get(shared.get(name, name), (-1.0, 1.0)))
            for name in plan.tensors
        }
        return write_qdq(self._model, plan, self._target, ranges=ranges, weight_scales=scales)

    def _elected(self, whole: float) -> list[tuple[str, ...]]:
        """The groups that spare most of the error alone, best first."""
        spared: dict[tuple[str, ...], float] = {}
        for group in dict.fromkeys(self._groups()):
            left = self.noise(group)
            if left is not None and whole - left > _LEAST_SHARE * whole:
                spared[group] = whole - left
        return sorted(spared, key=lambda group: (-spared[group], group))[:MOST_CHOICES]

    def _groups(self) -> Iterator[tuple[str, ...]]:
        for layer in self._plan.layers:
            yield (layer.name,)
        for tensor in self._plan.watched:
            group = self._group(tensor)
            if group:
                yield group

    def _group(self, tensor: str) -> tuple[str, ...]:
        around = {node for node in self._around(tensor) if node in self._plan.integer_nodes}
        return tuple(sorted(around, key=self._place))

    def _around(self, tensor: str) -> Iterator[str]:
        """Who makes a tensor and who reads it, also where it was only moved in between."""
        maker = self._edges.producers.get(tensor)
        if maker is not None and maker.name in self._plan.dropped:
            maker = self._edges.producers.get(maker.input[0])
        if maker is not None:
            yield maker.name
        moved = [name for name, source in self._plan.shared.items() if source == tensor]
        for name in (tensor, *moved):
            yield from (node.name for node in self._edges.consumers.get(name, ()))

    def _place(self, name: str) -> int:
        return [node.name for node in self._model.graph.node].index(name)

    def _greedy(
        self,
        groups: Sequence[tuple[str, ...]],
        prices: dict[tuple[str, ...], Extra],
        whole: float,
    ) -> Iterator[Choice]:
        chosen: set[str] = set()
        left, open_groups = whole, list(groups)
        while open_groups:
            gains = {group: self._gain(left, {*chosen, *group}) for group in open_groups}
            best = max(gains, key=lambda group: (gains[group] / _paid(prices[group]), group))
            if gains[best] <= _LEAST_SHARE * whole:
                return
            names = tuple(name for name in best if name not in chosen)
            chosen.update(names)
            left -= gains[best]
            yield Choice(names, gains[best] / whole, prices[best].extra_ms, left / whole)
            open_groups = [group for group in open_groups if not chosen.issuperset(group)]

    def _gain(self, left: float, names: Collection[str]) -> float:
        noise = self.noise(names)
        return 0.0 if noise is None else left - noise


def _paid(price: Extra) -> float:
    return max(price.extra_ms, _PRICE_FLOOR * price.base_ms)
