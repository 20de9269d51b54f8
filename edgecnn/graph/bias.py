"""Bias correction: give each channel of each layer the mean that it has in float.

Rounding weights shifts the mean of what a channel sees, the shift grows from layer to layer, and
depthwise networks lose most of their accuracy to it (Nagel et al. 2019, Data-free quantization
through weight equalization and bias correction, https://arxiv.org/abs/1906.04721, section 4.2).
Here it is measured: layer after layer, each behind a prefix that is quantized and corrected
already, on the integers that the layer really gives, after its saturation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from edgecnn.graph.integers import LARGEST_BIAS
from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.prefix import Prefix
from edgecnn.graph.qdq import bias_name, float_bias_name, quantized_name
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import put_constant

Vector = NDArray[np.float64]  # shape (channels,)
Means = NDArray[np.float64]  # shape (images, channels)

ROUNDS = 2  # the shift acts through a saturation, so that one step does not reach the mean
_LEAST_ACTIVE = 0.25


class BiasCorrection:
    """Moves a layer's bias until its channels have the means of the float model.

    `folded` is the float model that the quantized one was written from; `images` must be the ones
    that the prefix runs on, in their order.
    """

    def __init__(
        self, folded: ModelProto, plan: Plan, images: Iterable[Array], *, threads: int = 0
    ) -> None:
        self._plan = plan
        self._wanted = _float_means(folded, plan, images, threads)

    def __call__(self, layer: Layer, prefix: Prefix) -> None:
        """Change the layer's bias in the prefix's model."""
        if layer.bias is None:
            return
        for _ in range(ROUNDS):
            means, active = _measure(layer, self._plan, prefix)
            # A shift of the bias moves the mean only as far as values are free to move.
            shift = certain(self._wanted[layer.name] - means) / np.maximum(active, _LEAST_ACTIVE)
            _shift_bias(prefix, layer, shift)


def _float_means(
    model: ModelProto, plan: Plan, images: Iterable[Array], threads: int
) -> dict[str, Means]:
    """Layer name -> the mean of each output channel on each image, in the float model."""
    session = Session(model, [layer.output for layer in plan.layers], threads=threads)
    means: dict[str, list[Vector]] = {name: [] for name in session.names}
    for image in images:
        for name, values in zip(session.names, session.run(image), strict=True):
            means[name].append(_channel_means(values))
    return {layer.name: np.array(means[layer.output]) for layer in plan.layers}


def _measure(layer: Layer, plan: Plan, prefix: Prefix) -> tuple[Means, Vector]:
    """Means of shape (images, channels) in the quantized model, and the share not saturated."""
    tensor, scale, zero_point, lowest = layer.output, 1.0, 0.0, 0
    if tensor in plan.tensors:
        edges, source = prefix.edges, plan.shared.get(tensor, tensor)
        scale = float(edges.value(f"{source}_scale"))
        zero_point = float(edges.value(f"{source}_zero_point"))
        if tensor in plan.shifted:
            zero_point = float(plan.activations.low)
        bounded = plan.limits.get(tensor, (-np.inf, np.inf))[0] == 0
        lowest = int(zero_point) if bounded else plan.activations.low
        tensor = quantized_name(tensor)
    means: list[Vector] = []
    active: list[Vector] = []
    for values in prefix.run(tensor):
        means.append((_channel_means(values) - zero_point) * scale)
        active.append(_channel_means(_inside(values, lowest, plan.activations.high)))
    return np.array(means), np.mean(active, axis=0)


def _shift_bias(prefix: Prefix, layer: Layer, shift: Vector) -> None:
    model, edges, name = prefix.model, prefix.edges, float_bias_name(layer)
    if name in edges.constants:
        put_constant(model, name, (edges.value(name) + shift).astype(np.float32))
        return
    name = bias_name(layer)
    unit = edges.value(f"{name}_scale").astype(np.float64)
    now = numpy_helper.to_array(edges.constants[name]).astype(np.float64)
    steps = np.rint(now + shift / unit)
    put_constant(model, name, np.clip(steps, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32))


def certain(differences: Means) -> Vector:
    """The mean difference of each channel, less where so few images leave it in doubt.

    The positive-part shrinkage of James and Stein (1961), channel by channel.
    """
    mean: Vector = differences.mean(axis=0)
    if len(differences) < 2:
        return mean
    doubt = differences.var(axis=0, ddof=1) / len(differences)
    certainty: Vector = np.maximum(0, 1 - doubt / np.maximum(mean**2, 1e-30))
    return mean * certainty


def _channel_means(values: Array) -> Vector:
    """Mean over everything but axis 1."""
    axes = (0, *range(2, values.ndim))
    return np.asarray(values.mean(axis=axes, dtype=np.float64))


def _inside(values: Array, lowest: int, highest: int) -> Array:
    """True where a value is not saturated; floats never are."""
    if not np.issubdtype(values.dtype, np.integer):
        return np.ones(values.shape, np.bool_)
    return np.not_equal(values, lowest) & np.not_equal(values, highest)
