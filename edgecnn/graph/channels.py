"""How a quantized model's channels were scaled against the float model it came from.

Cross-layer equalization scales a channel up in one layer and down in those that read it: the
answers stay, the tensors between differ from the float model's by a factor for each channel. The
weights of both models tell the factors, layer after layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edgecnn.graph.fold import channel_axis
from edgecnn.graph.probe import RoundedLayer
from edgecnn.graph.wiring import FloatArray, Wiring, attribute, wiring

Factors = NDArray[np.float32]

_CARRIERS = ("Relu", "Clip", "MaxPool", "Concat")
_LEAST_LIKENESS = 0.99  # cosine: what differs in more than a factor was rounded, not scaled
_LEAST_CHANGE = 0.012  # rounding to 8 bits alone moves a factor by up to half of that


def channel_factors(model: ModelProto, layers: Mapping[str, RoundedLayer]) -> dict[str, Factors]:
    """By tensor, the factor of each channel (axis 1) where channels were scaled."""
    edges = wiring(model)
    found: dict[str, Factors] = {}
    for node in model.graph.node:
        factors = _factors(node, layers.get(node.name), edges, found)
        if factors is not None:
            found[node.output[0]] = factors
    return found


def _factors(
    node: NodeProto, layer: RoundedLayer | None, edges: Wiring, found: Mapping[str, Factors]
) -> Factors | None:
    if layer is not None and node.op_type in ("Conv", "Gemm"):
        return _of_layer(node, layer, edges, found.get(node.input[0]))
    if node.op_type not in _CARRIERS:
        return None
    parts = [found.get(name) for name in node.input if name not in edges.constants]
    known = [part for part in parts if part is not None]
    if node.op_type != "Concat":
        return known[0] if known else None
    return np.concatenate(known) if known and len(known) == len(parts) else None


def _of_layer(
    node: NodeProto, layer: RoundedLayer, edges: Wiring, inputs: Factors | None
) -> Factors | None:
    axis = channel_axis(node)
    ours = np.moveaxis(edges.value(node.input[1]), axis, 0)
    if inputs is not None:
        ours = ours / _per_input(node, ours, inputs)
    ours = ours.reshape(len(ours), -1)
    theirs = np.moveaxis(layer.weight, axis, 0).reshape(ours.shape)
    power, product = np.square(ours).sum(axis=1), (ours * theirs).sum(axis=1)
    norms = np.sqrt(power * np.square(theirs).sum(axis=1))
    alike = product >= _LEAST_LIKENESS * np.maximum(norms, 1e-30)
    factors = product / np.maximum(power, 1e-30)
    scaled = alike & (np.abs(factors - 1) > _LEAST_CHANGE)
    return np.where(scaled, factors, 1.0).astype(np.float32) if scaled.any() else None


def _per_input(node: NodeProto, weight: FloatArray, inputs: Factors) -> FloatArray:
    """The factor of what each weight (outputs, inputs of a group, ...) is multiplied with."""
    groups = attribute(node, "group", 1)
    count = groups if isinstance(groups, int) else 1
    if weight.shape[1] * count != inputs.size or len(weight) % count:
        return np.ones((1,) * weight.ndim, np.float32)
    rows = np.repeat(inputs.reshape(count, weight.shape[1]), len(weight) // count, axis=0)
    return rows.reshape(*rows.shape, *(1,) * (weight.ndim - 2))


def unscaled(
    model: ModelProto, layers: Mapping[str, RoundedLayer], factors: Mapping[str, Factors]
) -> dict[str, RoundedLayer]:
    """The rounded layers as they would be had no channel been scaled."""
    found: dict[str, RoundedLayer] = {}
    for node in model.graph.node:
        layer = layers.get(node.name)
        if layer is None:
            continue
        inputs, outputs = (factors.get(name) for name in (node.input[0], node.output[0]))
        axis = channel_axis(node)
        weight, bias = np.moveaxis(layer.weight, axis, 0), layer.bias
        if inputs is not None:
            weight = weight * _per_input(node, weight, inputs)
        if outputs is not None:
            weight = weight / outputs.reshape(-1, *(1,) * (weight.ndim - 1))
            bias = None if bias is None else bias / outputs
        found[node.name] = RoundedLayer(np.moveaxis(weight, 0, axis), bias, layer.scales)
    return found
