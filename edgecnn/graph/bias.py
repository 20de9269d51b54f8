"""Bias correction: give each channel of each layer the mean that it has in float.

Rounding weights shifts the mean of what a channel sees, the shift grows from layer to layer, and
depthwise networks lose most of their accuracy to it (Nagel et al. 2019, Data-free quantization
through weight equalization and bias correction, https://arxiv.org/abs/1906.04721, section 4.2).
Here it is measured: layer after layer, each behind a prefix that is quantized and corrected
already, on the integers that the layer really gives, after its saturation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.prefix import Prefix
from edgecnn.graph.qdq import LEVELS, bias_name, quantized_name
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import put_constant, wiring

Vector = NDArray[np.float64]  # shape (channels,)
Means = NDArray[np.float64]  # shape (images, channels)

ROUNDS = 2  # the shift acts through a saturation, so that one step does not reach the mean
_LEAST_ACTIVE = 0.25


def correct_biases(
    model: ModelProto,
    quantized: ModelProto,
    plan: Plan,
    images: Callable[[], Iterable[Array]],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> ModelProto:
    """A copy of the quantized model with corrected biases.

    `model` is the folded float model that it was written from, `images` gives the same bounded
    number of preprocessed images at each call; `progress` is called once a layer.
    """
    corrected = ModelProto()
    corrected.CopyFrom(quantized)
    layers = [layer for layer in plan.layers if layer.bias is not None]
    wanted = _float_means(model, layers, images(), threads)
    prefix = Prefix(corrected, images(), threads=threads)
    for layer in layers:
        for _ in range(ROUNDS):
            channels = _Channels(corrected, plan, layer, prefix)
            _correct(corrected, layer, wanted[layer.name], channels)
        if progress is not None:
            progress()
    return corrected


def _float_means(
    model: ModelProto, layers: list[Layer], images: Iterable[Array], threads: int
) -> dict[str, Means]:
    """Layer name -> the mean of each output channel on each image, in the float model."""
    session = Session(model, [layer.output for layer in layers], threads=threads)
    means: dict[str, list[Vector]] = {name: [] for name in session.names}
    for image in images:
        for name, values in zip(session.names, session.run(image), strict=True):
            means[name].append(_channel_means(values))
    return {layer.name: np.array(means[layer.output]) for layer in layers}


class _Channels:
    """What the channels of a layer give in the quantized model as it is now."""

    def __init__(self, model: ModelProto, plan: Plan, layer: Layer, prefix: Prefix) -> None:
        self._prefix = prefix
        self._tensor = layer.output
        self._scale, self._zero_point = 1.0, 0
        if layer.output in plan.tensors:
            edges = wiring(model)
            self._tensor = quantized_name(layer.output)
            name = plan.shared.get(layer.output, layer.output)
            self._scale = float(edges.value(f"{name}_scale"))
            self._zero_point = int(edges.value(f"{name}_zero_point"))

    def measure(self) -> tuple[Means, Vector]:
        """Means of shape (images, channels), and the share of each channel not saturated."""
        means: list[Vector] = []
        active: list[Vector] = []
        for values in self._prefix.run(self._tensor):
            means.append((_channel_means(values) - self._zero_point) * self._scale)
            active.append(_channel_means(_inside(values)))
        return np.array(means), np.mean(active, axis=0)


def _correct(model: ModelProto, layer: Layer, wanted: Means, channels: _Channels) -> None:
    means, active = channels.measure()
    # A shift of the bias moves the mean only as far as values are free to move.
    shift = _certain(wanted - means) / np.maximum(active, _LEAST_ACTIVE)
    edges, name = wiring(model), bias_name(layer)
    unit = edges.value(f"{name}_scale").astype(np.float64)
    bias = edges.value(name).astype(np.float64) + shift / unit
    put_constant(model, name, np.rint(bias).astype(np.int32))


def _certain(differences: Means) -> Vector:
    """The mean difference of each channel, less where so few images leave it in doubt.

    The positive-part shrinkage of James and Stein (1961), channel by channel.
    """
    mean = differences.mean(axis=0)
    if len(differences) < 2:
        return mean
    doubt = differences.var(axis=0, ddof=1) / len(differences)
    return mean * np.maximum(0, 1 - doubt / np.maximum(mean**2, 1e-30))


def _channel_means(values: Array) -> Vector:
    """Mean over everything but axis 1."""
    axes = (0, *range(2, values.ndim))
    return np.asarray(values.mean(axis=axes, dtype=np.float64))


def _inside(values: Array) -> Array:
    """True where a value is not saturated; floats never are."""
    if values.dtype != np.uint8:
        return np.ones(values.shape, np.bool_)
    return np.asarray((values > 0) & (values < LEVELS))
