"""Fold what inference does not need into the layers around it, before anything is quantized.

After `fold` a convolution carries its batch normalization, its padding and a bias, an activation
function stands right behind its layer, and nothing is left that only copies. The numbers stay those
of the source up to float rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto, NodeProto

from edgecnn.errors import GraphError
from edgecnn.graph.activation import FUNCTIONS
from edgecnn.graph.model_io import infer_shapes, shapes_of
from edgecnn.graph.wiring import (
    FloatArray,
    Wiring,
    attribute,
    bypass,
    drop_unused,
    integer_list,
    number,
    put_constant,
    set_attribute,
    set_nodes,
    wiring,
)

LAYERS = ("Conv", "Gemm")  # what can take a scale and an offset for each output channel


def fold(model: ModelProto) -> ModelProto:
    """The folded model; the argument, in normal form (`read_model`), is changed in place.

    Raises GraphError where a batch norm divides by no number.
    """
    _drop_copies(model)
    _matmul_to_gemm(model)
    _plain_gemm(model)
    _pads_into_convolutions(model)
    _give_biases(model)
    _affine_into_layers(model)
    _functions_before_joins(model)
    _norms_to_convolutions(model)
    drop_unused(model)
    return infer_shapes(model)


def channel_axis(layer: NodeProto) -> int:
    """The axis of a Conv's or Gemm's weight that counts output channels."""
    return 1 if layer.op_type == "Gemm" and not attribute(layer, "transB", 0) else 0


def _drop_copies(model: ModelProto) -> None:
    for node in list(model.graph.node):
        if node.op_type in ("Identity", "Dropout"):
            bypass(model, node)


def _matmul_to_gemm(model: ModelProto) -> None:
    shapes, edges = shapes_of(model), wiring(model)
    for node in model.graph.node:
        if (
            node.op_type == "MatMul"
            and len(shapes.get(node.input[0], ())) == 2
            and node.input[1] in edges.constants
            and len(edges.shape(node.input[1])) == 2
        ):
            node.op_type = "Gemm"


def _plain_gemm(model: ModelProto) -> None:
    """Gemm with alpha, beta = 1 and a bias of shape (N,)."""
    edges = wiring(model)
    for node in model.graph.node:
        if node.op_type != "Gemm" or not _has_constant_weight(node, edges):
            continue
        alpha, beta = np.float32(number(node, "alpha", 1)), np.float32(number(node, "beta", 1))
        if alpha != 1:
            put_constant(model, node.input[1], edges.value(node.input[1]) * alpha)
        channels = edges.shape(node.input[1])[channel_axis(node)]
        if len(node.input) > 2 and node.input[2] in edges.constants:
            bias = edges.value(node.input[2]) * beta
            if bias.size in (1, channels):
                bias = np.broadcast_to(bias.ravel(), (channels,)).astype(np.float32)
            put_constant(model, node.input[2], bias)
            set_attribute(node, "beta", 1.0)
        set_attribute(node, "alpha", 1.0)


def _pads_into_convolutions(model: ModelProto) -> None:
    edges = wiring(model)
    for node in list(model.graph.node):
        pads = _spatial_zeros(node, edges)
        readers = edges.consumers.get(node.output[0], ())
        if pads is None or node.output[0] in edges.outputs or not readers:
            continue
        if all(_can_pad(reader) and reader.input[0] == node.output[0] for reader in readers):
            for reader in readers:
                own = integer_list(reader, "pads", (0,) * len(pads))
                set_attribute(reader, "pads", [a + b for a, b in zip(own, pads, strict=True)])
            bypass(model, node)


def _spatial_zeros(node: NodeProto, edges: Wiring) -> list[int] | None:
    """The pads of a Pad that only adds zeros around images, as a Conv writes them."""
    if node.op_type != "Pad" or attribute(node, "mode", b"constant") != b"constant":
        return None
    if len(node.input) > 3 or node.input[1] not in edges.constants:
        return None
    if len(node.input) > 2 and node.input[2] and edges.value(node.input[2]).any():
        return None
    pads = [int(pad) for pad in edges.value(node.input[1])]
    if len(pads) != 8 or min(pads) < 0 or any(pads[0:2]) or any(pads[4:6]):
        return None
    return pads[2:4] + pads[6:8]


def _can_pad(node: NodeProto) -> bool:
    return node.op_type == "Conv" and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"


def _has_constant_weight(node: NodeProto, edges: Wiring) -> bool:
    return len(node.input) > 1 and node.input[1] in edges.constants


def _give_biases(model: ModelProto) -> None:
    edges = wiring(model)
    for node in model.graph.node:
        if node.op_type not in LAYERS or not _has_constant_weight(node, edges):
            continue
        if len(node.input) > 2 and node.input[2]:
            continue
        channels = edges.shape(node.input[1])[channel_axis(node)]
        name = f"{node.input[1]}_bias"
        put_constant(model, name, np.zeros(channels, np.float32))
        del node.input[2:]
        node.input.append(name)


def _affine_into_layers(model: ModelProto) -> None:
    """Layer, then a scale and an offset for each channel, becomes the layer alone."""
    edges = wiring(model)
    for node in list(model.graph.node):
        layer = edges.producers.get(node.input[0]) if node.input else None
        if layer is None or not _takes_affine(layer, edges):
            continue
        if edges.only_consumer(layer.output[0]) is None:
            continue
        bias = edges.value(layer.input[2])
        affine = _AFFINE[node.op_type](node, edges, bias.size) if node.op_type in _AFFINE else None
        if affine is None:
            continue
        _scale_layer(model, layer, *affine)
        bypass(model, node)
        edges = wiring(model)


def _takes_affine(layer: NodeProto, edges: Wiring) -> bool:
    return (
        layer.op_type in LAYERS
        and _has_constant_weight(layer, edges)
        and layer.input[2] in edges.constants
        and len(edges.shape(layer.input[2])) == 1
    )


def _scale_layer(
    model: ModelProto, layer: NodeProto, scale: FloatArray, offset: FloatArray
) -> None:
    edges = wiring(model)
    weight, bias = edges.value(layer.input[1]), edges.value(layer.input[2])
    shape = [1] * weight.ndim
    shape[channel_axis(layer)] = -1
    put_constant(model, layer.input[1], weight * scale.reshape(shape))
    put_constant(model, layer.input[2], bias * scale + offset)


def _norm(node: NodeProto, edges: Wiring, channels: int) -> tuple[FloatArray, FloatArray] | None:
    """Scale and offset of a BatchNormalization at inference; raises GraphError."""
    if len(node.input) != 5 or any(name not in edges.constants for name in node.input[1:]):
        return None
    gamma, beta, mean, variance = (edges.value(name).astype(np.float64) for name in node.input[1:])
    if gamma.size != channels:
        return None
    variance = variance + number(node, "epsilon", 1e-5)
    if not (variance > 0).all():
        raise GraphError(
            f"the batch norm {node.name!r} has a variance of zero or below it",
            hint="train or export again",
        )
    scale = gamma / np.sqrt(variance)
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _added(node: NodeProto, edges: Wiring, channels: int) -> tuple[FloatArray, FloatArray] | None:
    offset = _per_channel(node, edges, channels)
    return None if offset is None else (np.ones(channels, np.float32), offset)


def _multiplied(
    node: NodeProto, edges: Wiring, channels: int
) -> tuple[FloatArray, FloatArray] | None:
    scale = _per_channel(node, edges, channels)
    return None if scale is None else (scale, np.zeros(channels, np.float32))


def _per_channel(node: NodeProto, edges: Wiring, channels: int) -> FloatArray | None:
    """The constant operand as one number a channel, None where it is something else."""
    if node.input[1] not in edges.constants:
        return None
    value = edges.value(node.input[1])
    layer = edges.producers[node.input[0]]
    right_of_channel = 2 if layer.op_type == "Conv" else 0
    if value.size == 1 and value.ndim <= right_of_channel + 1:
        return np.full(channels, value.item(), np.float32)
    shape = value.shape[: value.ndim - right_of_channel]
    if value.size != channels or value.shape[len(shape) :] != (1,) * right_of_channel:
        return None
    return value.ravel() if shape and shape[-1] == channels else None


_AFFINE: dict[str, Callable[[NodeProto, Wiring, int], tuple[FloatArray, FloatArray] | None]] = {
    "BatchNormalization": _norm,
    "Add": _added,
    "Mul": _multiplied,
}


def _functions_before_joins(model: ModelProto) -> None:
    """Relu or Clip behind a Concat becomes one on each part, where the layers before absorb it."""
    edges = wiring(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        join = edges.producers.get(node.input[0]) if node.op_type in FUNCTIONS else None
        fixed = edges.constants.keys() >= set(filter(None, node.input[1:]))
        if join is None or not fixed or not _joins_layers(join, edges):
            nodes.append(node)
            continue
        parts = dict.fromkeys(join.input)
        place = nodes.index(join)
        nodes[place:place] = [_on_part(node, part) for part in parts]
        join.input[:] = [f"{part}_bounded" for part in join.input]
        join.output[0] = node.output[0]
    set_nodes(model, nodes)


def _joins_layers(node: NodeProto, edges: Wiring) -> bool:
    """Whether a Concat joins nothing but what layers make for it, and one node reads it."""
    makers = [edges.producers.get(part) for part in node.input]
    return (
        node.op_type == "Concat"
        and edges.only_consumer(node.output[0]) is not None
        and all(maker is not None and maker.op_type in LAYERS for maker in makers)
        and all(edges.only_consumer(part) is node for part in node.input)
    )


def _on_part(function: NodeProto, part: str) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(function)
    copy.name, copy.input[0], copy.output[0] = f"{function.name}_{part}", part, f"{part}_bounded"
    return copy


def _norms_to_convolutions(model: ModelProto) -> None:
    """A BatchNormalization with no layer before it becomes a 1x1 depthwise convolution."""
    shapes, edges = shapes_of(model), wiring(model)
    for node in model.graph.node:
        shape = shapes.get(node.input[0], ()) if node.input else ()
        if node.op_type != "BatchNormalization" or len(shape) != 4 or shape[1] is None:
            continue
        affine = _norm(node, edges, shape[1])
        if affine is None:
            continue
        scale, offset = affine
        put_constant(model, node.input[1], scale.reshape(-1, 1, 1, 1))
        put_constant(model, node.input[2], offset)
        del node.input[3:]
        node.op_type = "Conv"
        del node.attribute[:]
        set_attribute(node, "group", shape[1])
        set_attribute(node, "kernel_shape", [1, 1])
