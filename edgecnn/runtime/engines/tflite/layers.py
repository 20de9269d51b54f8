"""Layers with weights: Conv, ConvTranspose, Gemm and MatMul."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecnn.runtime.engines.tflite.flatbuffer import Number
from edgecnn.runtime.engines.tflite.graph import Array, Rewriter, Sink, Value, refusal
from edgecnn.runtime.engines.tflite.model import Options, Quant
from edgecnn.runtime.engines.tflite.onnx_graph import Node
from edgecnn.runtime.engines.tflite.schema import Activation, Op, OptionsType, Padding
from edgecnn.runtime.engines.tflite.windows import Window, padded, window

_LEAST_WEIGHT = -127  # TFLite's weights are symmetric: -128 would overflow some of its kernels
_LARGEST_BIAS = 2**30


@dataclass(frozen=True, slots=True)
class Weights:
    """A layer's weights with output channels on `axis`, and its bias, (channels,).

    Integers have a scale for each channel; the bias is int32 then, in units of the input's scale
    times the weight's. `quant` is None for float32.
    """

    values: Array
    bias: Array
    quant: Quant | None = None
    bias_quant: Quant | None = None

    def put(self, graph: Rewriter, *, axis: int, values: Array) -> tuple[Value, Value]:
        """Both as tensors; `values` are the weights in TFLite's order, with channels on `axis`."""
        quant = self.quant and Quant(self.quant.scales, axis=axis)
        return graph.put(values, quant=quant), graph.put(self.bias, quant=self.bias_quant)


def conv(graph: Rewriter, node: Node) -> None:
    """Conv over images: CONV_2D, or DEPTHWISE_CONV_2D where each channel has filters of its own."""
    weights, image, sink = _prepared(graph, node, axis=0)
    image = graph.images(image)
    channels, per_group = weights.values.shape[:2]
    group = int(node.attributes.get("group", 1))
    over = window(node, tuple(weights.values.shape[2:]), image)
    image, padding = padded(graph, image, over)
    is_depthwise = per_group == 1 and group == image.shape[1] > 1
    if is_depthwise:
        values, axis = weights.values.transpose(1, 2, 3, 0), 3
    else:
        values, axis = weights.values.transpose(0, 2, 3, 1), 0
    constants = weights.put(graph, axis=axis, values=np.ascontiguousarray(values))
    made = Value(0, (image.shape[0], channels, *over.outputs), _made(weights, sink), True)
    multiplier = channels // group if is_depthwise else None
    options = conv_options(over, padding, sink.activation, multiplier=multiplier)
    op = Op.DEPTHWISE_CONV_2D if is_depthwise else Op.CONV_2D
    graph.finish(node, graph.emit(op, [image, *constants], made, options), sink)


def conv_options(
    over: Window, padding: Padding, activation: Activation, *, multiplier: int | None = None
) -> Options:
    """Those of CONV_2D; with a multiplier, outputs for each channel, of DEPTHWISE_CONV_2D."""
    height, width = over.dilations
    rest = (Number("b", activation), Number("i", width), Number("i", height))
    if multiplier is None:
        return Options(OptionsType.CONV_2D, (*over.numbers(padding), *rest))
    numbers = (*over.numbers(padding), Number("i", multiplier), *rest)
    return Options(OptionsType.DEPTHWISE_CONV_2D, numbers)


def gemm(graph: Rewriter, node: Node) -> None:
    """Gemm and MatMul with constant weights: FULLY_CONNECTED."""
    is_transposed = bool(node.attributes.get("transB", 0))
    if node.attributes.get("transA", 0):
        raise refusal(node, "has transA")
    weights, rows, sink = _prepared(graph, node, axis=0 if is_transposed else 1)
    if weights.values.ndim != 2 or len(rows.shape) != 2:
        raise refusal(node, "multiplies more than rows by one matrix")
    values = weights.values if is_transposed else np.ascontiguousarray(weights.values.T)
    constants = weights.put(graph, axis=0, values=values)
    made = Value(0, (rows.shape[0], len(values)), _made(weights, sink))
    slots = (Number("b", sink.activation), Number("b", 0), Number("?", 0), Number("?", 0))
    options = Options(OptionsType.FULLY_CONNECTED, slots)
    graph.finish(node, graph.emit(Op.FULLY_CONNECTED, [rows, *constants], made, options), sink)


def conv_transpose(graph: Rewriter, node: Node) -> None:
    """ConvTranspose whose windows do not reach over the edges, in float: TRANSPOSE_CONV."""
    weight, bias = (_constant(graph, node, place) for place in (1, 2))
    image = graph.images(graph.floats(graph.value(node.inputs[0])))
    plain = ("auto_pad", "group", "output_padding", "output_shape", "pads", "dilations")
    usual = (b"NOTSET", 1, (0, 0), (), (0, 0, 0, 0), (1, 1))
    if weight is None or weight.ndim != 4:
        raise refusal(node, "has no constant weights over images")
    for name, value in zip(plain, usual, strict=True):
        if node.attributes.get(name, value) != value:
            raise refusal(node, f"has {name} {node.attributes[name]}")
    strides, kernel = node.ints("strides", (1, 1)), weight.shape[2:]
    outputs = tuple(
        (size - 1) * s + k for size, s, k in zip(image.shape[2:], strides, kernel, strict=True)
    )
    made = Value(0, (image.shape[0], weight.shape[1], *outputs), channels_last=True)
    filters = np.ascontiguousarray(weight.transpose(1, 2, 3, 0), np.float32)
    shape = graph.put(np.array(made.stored_shape, np.int32))
    bias = np.zeros(weight.shape[1], np.float32) if bias is None else bias
    inputs = [shape, graph.put(filters), image, graph.put(np.asarray(bias, np.float32))]
    height, width = strides
    slots = (Number("b", Padding.VALID), Number("i", width), Number("i", height), Number("b", 0))
    options = Options(OptionsType.TRANSPOSE_CONV, slots)
    graph.finish(node, graph.emit(Op.TRANSPOSE_CONV, inputs, made, options))


def _prepared(graph: Rewriter, node: Node, *, axis: int) -> tuple[Weights, Value, Sink]:
    """A layer's weights, its input and its sink: all integers, or all floats."""
    value, sink = graph.value(node.inputs[0]), graph.sink(node)
    if value.quant is not None and sink.quant is not None:
        weights = _integers(graph, node, value.quant, axis=axis)
        if weights is not None:
            return weights, value, sink
    weight, bias = _constant(graph, node, 1), _constant(graph, node, 2)
    if weight is None:
        raise refusal(node, "has weights that are computed")
    alpha, beta = (np.float32(node.attributes.get(name, 1)) for name in ("alpha", "beta"))
    bias = np.zeros(1, np.float32) if bias is None else bias * beta
    bias = np.broadcast_to(bias.ravel(), (weight.shape[axis],))
    floats = Weights(np.asarray(weight * alpha, np.float32), np.asarray(bias, np.float32))
    return floats, graph.floats(value), sink


def _integers(graph: Rewriter, node: Node, given: Quant, *, axis: int) -> Weights | None:
    """Weights and bias as TFLite's integers, None where they are none."""
    found = graph.integers(node.inputs[1])
    if found is None or node.attributes.get("alpha", 1) != 1 or node.attributes.get("beta", 1) != 1:
        return None
    integers, quant = found
    channels = integers.shape[axis]
    if integers.dtype != np.int8 or quant.zero_point or integers.min(initial=0) < _LEAST_WEIGHT:
        return None
    if len(quant.scales) > 1 and quant.axis != axis:
        return None
    scales = np.broadcast_to(np.array(quant.scales, np.float32), (channels,))
    bias = _constant(graph, node, 2)
    if bias is None:
        bias = np.zeros(channels, np.float32)
    if bias.shape != (channels,):
        return None
    return _fitted(integers, scales, bias, given, axis=axis)


def _fitted(integers: Array, scales: Array, bias: Array, given: Quant, *, axis: int) -> Weights:
    """With scales large enough that a float bias fits into 30 bits; most are as they were."""
    least = (np.abs(bias) / (given.scale * _LARGEST_BIAS)).astype(np.float32)
    roomy = np.maximum(scales, least)
    if (roomy > scales).any():
        shape = [-1 if each == axis else 1 for each in range(integers.ndim)]
        integers = np.rint(integers * (scales / roomy).reshape(shape)).astype(np.int8)
    unit = np.float32(given.scale) * roomy
    whole = np.rint(bias.astype(np.float64) / unit).astype(np.int32)
    return Weights(
        integers, whole, Quant(tuple(roomy.tolist()), axis=axis), Quant(tuple(unit.tolist()))
    )


def _constant(graph: Rewriter, node: Node, place: int) -> Array | None:
    """A constant input as floats, None where there is none; raises EngineError if computed."""
    if len(node.inputs) <= place or not node.inputs[place]:
        return None
    found = graph.constant(node.inputs[place])
    if found is None:
        raise refusal(node, "has weights that are computed")
    return np.asarray(found, np.float32)


def _made(weights: Weights, sink: Sink) -> Quant | None:
    return None if weights.quant is None else sink.quant
