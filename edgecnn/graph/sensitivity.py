"""What each layer adds to the error of a quantized model, on images, behind the quantized prefix.

One streaming pass. For each image the quantized graph gives the integers of every tensor; the
float graph, cut at those tensors, gives what float arithmetic would have made of a layer's
quantized inputs. Their difference is the error that this layer adds; the difference from the float
model is the error that has piled up. Both are told as shares of the signal's power, which add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.channels import channel_factors, unscaled
from edgecnn.graph.check import BEST_DB
from edgecnn.graph.fold import channel_axis
from edgecnn.graph.importance import importances
from edgecnn.graph.probe import (
    Probe,
    Stretch,
    cut,
    find_probes,
    float_layers,
    made_name,
    rounded_layers,
    stretches,
    weight_values,
)
from edgecnn.graph.session import Array, Session
from edgecnn.graph.tally import Spread, Sums, Tally, sample, spread
from edgecnn.graph.wiring import FloatArray, wiring

TOGETHER = 4
"""So many images are summed up before their sums are added to those of others."""


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
    pair = Pair(model, quantized)
    return pair.errors(pair.sums(images, threads=threads, progress=progress))


Ranking = Callable[[ModelProto, ModelProto, Sequence[FloatArray]], tuple[LayerError, ...]]
"""As `sensitivity`: of the folded float model, the quantized one, and preprocessed images."""


class Pair:
    """A folded float model and the quantized one that was made of it.

    What they do on images can be summed up in parts, also by other machines. Raises GraphError
    where the two do not belong together.
    """

    def __init__(self, model: ModelProto, quantized: ModelProto) -> None:
        self._model = model
        self._quantized = quantized
        self._probes = find_probes(model, quantized)
        layers = rounded_layers(model, quantized)
        # Channels are scaled between a layer in float and one on integers, too.
        self._factors = channel_factors(model, float_layers(model, quantized) | layers)
        self._weighed = importances(model)
        self._scales = {name: layer.scales for name, layer in layers.items()}

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors that are looked at, in graph order."""
        return tuple(probe.tensor for probe in self._probes)

    def sums(
        self,
        images: Iterable[FloatArray],
        *,
        threads: int = 0,
        progress: Callable[[], None] | None = None,
    ) -> dict[str, Sums]:
        """What is summed up over images, by the name of the tensor; raises GraphError.

        They are summed up in groups of `TOGETHER`: who shares out whole groups gets the same bits.
        """
        layers = rounded_layers(self._model, self._quantized)
        values = weight_values(self._model, unscaled(self._model, layers, self._factors))
        del layers  # as heavy as the model
        bench = _Bench(self._model, self._quantized, self._probes, values, threads)
        total, left = dict.fromkeys(self.tensors, Sums()), iter(images)
        while group := tuple(islice(left, TOGETHER)):
            tallies = self._tallies()
            for image in group:
                bench.compare(image, tallies)
                if progress is not None:
                    progress()
            total = {name: total[name].plus(tally.sums) for name, tally in tallies.items()}
        return total

    def errors(self, sums: Mapping[str, Sums]) -> tuple[LayerError, ...]:
        """The errors that these sums say, in graph order."""
        tallies = self._tallies()
        for name, tally in tallies.items():
            tally.sums = sums[name]
        found = stretches(self._model, self._probes)
        weights = _weight_spreads(self._model)
        return tuple(
            _told(tallies[probe.tensor], found[probe.tensor], self._scales, weights)
            for probe in self._probes
        )

    def _tallies(self) -> dict[str, Tally]:
        return {
            probe.tensor: Tally(
                probe, self._weighed.get(probe.tensor), self._factors.get(probe.tensor)
            )
            for probe in self._probes
        }


class _Bench:
    """The graphs that look at each image.

    The float model cut at the probes is one graph for both kinds of weights, which are its inputs:
    as constants, each would have them several times in memory.
    """

    def __init__(
        self,
        model: ModelProto,
        quantized: ModelProto,
        probes: tuple[Probe, ...],
        weights: tuple[dict[str, FloatArray], dict[str, FloatArray]],
        threads: int,
    ) -> None:
        self._probes = probes
        self._weights = weights
        self._input = model.graph.input[0].name
        names = [probe.tensor for probe in probes if probe.tensor != self._input]
        found = [probe.found for probe in probes]
        part = cut(model, probes, open_weights=weights[0].keys())
        self._given = [item.name for item in part.graph.input if item.name not in weights[0]]
        self._reference = Session(model, names, threads=threads, frugal=True)
        self._quantized = Session(quantized, found, threads=threads, frugal=True)
        self._part = Session(part, threads=threads, frugal=True)

    def compare(self, image: FloatArray, tallies: Mapping[str, Tally]) -> None:
        """Add one image to the tallies; of each graph's tensors only samples are kept."""
        image = self._reference.batched(image)
        shapes, exact = self._float_values(image, tallies)
        integers = dict(zip(self._quantized.names, self._quantized.run(image), strict=True))
        real = {
            probe.tensor: tallies[probe.tensor].unscaled(probe.real(integers[probe.found]))
            for probe in self._probes
        }
        for name, values in real.items():
            _check_shape(name, values.shape, shapes[name])
        given: dict[str, Array] = {name: real.get(name, image) for name in self._given}
        made, half = (self._made({**given, **weights}) for weights in self._weights)
        for name, tally in tallies.items():
            key, rows = made_name(name), exact[name]
            tally.add(rows, sample(real[name]), made.get(key, rows), half.get(key, rows))

    def _float_values(
        self, image: FloatArray, tallies: Mapping[str, Tally]
    ) -> tuple[dict[str, tuple[int, ...]], dict[str, FloatArray]]:
        """The shapes and samples of what the float model makes of an image."""
        found = dict(zip(self._reference.names, self._reference.run(image), strict=True))
        found[self._input] = image
        for name, tally in tallies.items():
            tally.look_at(found[name])
        shapes = {name: values.shape for name, values in found.items()}
        return shapes, {name: sample(values) for name, values in found.items()}

    def _made(self, given: Mapping[str, Array]) -> dict[str, FloatArray]:
        return dict(zip(self._part.names, map(sample, self._part.feed(given)), strict=True))


def _check_shape(name: str, ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    if ours != theirs:
        raise GraphError(
            f"its tensor {name!r} has the shape {ours}, in the float model {theirs}",
            hint="give the very float file that it was quantized from",
        )


def _weight_spreads(model: ModelProto) -> dict[str, Spread | None]:
    edges = wiring(model)
    found: dict[str, Spread | None] = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in edges.constants:
            weight = np.moveaxis(edges.value(node.input[1]), channel_axis(node), 0)
            found[node.name] = spread(np.abs(weight.reshape(len(weight), -1)).max(axis=1))
    return found


def _told(
    tally: Tally,
    stretch: Stretch,
    scales: Mapping[str, int],
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
        weight_scales=scales.get(name, 0),
        weights=weights.get(name),
        outputs=tally.outputs,
        peak=tally.peak,
    )
