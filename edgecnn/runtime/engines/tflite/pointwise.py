"""What computes each value from those at the same place: sums, products, activation functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edgecnn.runtime.engines.tflite.flatbuffer import Number
from edgecnn.runtime.engines.tflite.graph import (
    TO_NHWC,
    Array,
    Rewriter,
    Sink,
    Value,
    refusal,
)
from edgecnn.runtime.engines.tflite.model import NO_OPTIONS, Options, Quant
from edgecnn.runtime.engines.tflite.onnx_graph import Node
from edgecnn.runtime.engines.tflite.schema import Activation, Op, OptionsType

# What TFLite's functions give whatever the file says: steps of 1/256 from 0, of 1/128 from -1.
SIGMOID, TANH = Quant((1 / 256,), -128), Quant((1 / 128,), 0)
FIXED = (SIGMOID, TANH)

# ONNX's operator -> TFLite's, and its options without an activation function.
_BINARY: Mapping[str, tuple[Op, OptionsType]] = {
    "Add": (Op.ADD, OptionsType.ADD),
    "Sub": (Op.SUB, OptionsType.SUB),
    "Mul": (Op.MUL, OptionsType.MUL),
    "Div": (Op.DIV, OptionsType.DIV),
    "Max": (Op.MAXIMUM, OptionsType.NONE),
    "Min": (Op.MINIMUM, OptionsType.NONE),
}
_ON_INTEGERS = ("Add", "Sub", "Mul")
_LARGEST = 127
_SOFTMAX_OF_ONE_AXIS = 13  # before this opset it was over all axes from one on


def binary(graph: Rewriter, node: Node) -> None:
    """Add, Sub, Mul, Div, Max and Min of two values, one of which may be constant."""
    if len(node.inputs) != 2:
        raise refusal(node, f"has {len(node.inputs)} inputs")
    op, kind = _BINARY[node.op]
    sink = graph.sink(node)
    constants = [graph.constant(name) for name in node.inputs]
    values = [
        graph.value(name) for name, each in zip(node.inputs, constants, strict=True) if each is None
    ]
    quant = _common_quant(node, values, sink) if len(values) == 2 else None
    if quant is None:
        values = [graph.floats(value) for value in values]
    if len({value.channels_last for value in values}) > 1:
        values = [graph.images(value) for value in values]
    like = values[0]
    operands = [
        values.pop(0) if each is None else _constant_like(graph, each, like) for each in constants
    ]
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    if like.channels_last and len(shape) != 4:
        raise refusal(node, "joins images with values of another rank")
    options = Options(kind, (Number("b", sink.activation),)) if kind else NO_OPTIONS
    if not kind:
        sink = replace(sink, activation=Activation.NONE)
    made = Value(0, tuple(shape), quant, like.channels_last)
    graph.finish(node, graph.emit(op, operands, made, options), sink)


def _common_quant(node: Node, values: list[Value], sink: Sink) -> Quant | None:
    """The integers of the result, None where it is to be computed in float."""
    if node.op not in _ON_INTEGERS or any(value.quant is None for value in values):
        return None
    return sink.quant


def _constant_like(graph: Rewriter, array: Array, like: Value) -> Value:
    """A constant with as many axes as the value it is joined with, in the same order."""
    array = np.asarray(array, np.float32)
    array = array.reshape((1,) * (len(like.shape) - array.ndim) + array.shape)
    if not like.channels_last:
        return graph.put(array)
    stored = graph.put(np.ascontiguousarray(array.transpose(TO_NHWC)))
    return replace(stored, shape=tuple(array.shape), channels_last=True)


def mean(graph: Rewriter, node: Node) -> None:
    """Mean of several values, in float."""
    values = [graph.images(graph.floats(graph.value(name))) for name in node.inputs]
    total = values[0]
    for value in values[1:]:
        total = _float(graph, Op.ADD, OptionsType.ADD, total, value)
    graph.finish(node, _scaled(graph, total, 1 / len(values)))


def _float(graph: Rewriter, op: Op, kind: OptionsType, first: Value, second: Value) -> Value:
    options = Options(kind, (Number("b", Activation.NONE),)) if kind else NO_OPTIONS
    return graph.emit(op, [first, second], replace(first, quant=None), options)


def _float_like(value: Value) -> Value:
    return replace(value, quant=None)


def _scaled(graph: Rewriter, value: Value, factor: float) -> Value:
    constant = graph.put(np.array(factor, np.float32))
    return _float(graph, Op.MUL, OptionsType.MUL, value, constant)


def batch_normalization(graph: Rewriter, node: Node) -> None:
    """BatchNormalization, a product and a sum for each channel, in float."""
    constants = [graph.constant(name) for name in node.inputs[1:]]
    if any(each is None for each in constants) or len(node.outputs) > 1:
        raise refusal(node, "has parameters that are computed")
    scale, bias, mean_, variance = (np.asarray(each, np.float64) for each in constants)
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    value = graph.floats(graph.value(node.inputs[0]))
    shape = (-1, *(1,) * (len(value.shape) - 2))
    for op, kind, numbers in (
        (Op.MUL, OptionsType.MUL, factor),
        (Op.ADD, OptionsType.ADD, bias - mean_ * factor),
    ):
        constant = _constant_like(graph, numbers.reshape(shape), value)
        value = _float(graph, op, kind, value, constant)
    graph.finish(node, value)


def relu(graph: Rewriter, node: Node) -> None:
    """Relu by itself."""
    value = graph.value(node.inputs[0])
    graph.finish(node, graph.emit(Op.RELU, [value], value))


def clip(graph: Rewriter, node: Node) -> None:
    """Clip: RELU6, RELU, or in float MAXIMUM and MINIMUM."""
    value, (low, high) = graph.value(node.inputs[0]), graph.clip_bounds(node)
    if (low, high) == (0.0, 6.0):
        graph.finish(node, graph.emit(Op.RELU6, [value], value))
        return
    value = graph.floats(value)
    for op, bound in ((Op.MAXIMUM, low), (Op.MINIMUM, high)):
        if np.isfinite(bound):
            constant = graph.put(np.array(bound, np.float32))
            value = _float(graph, op, OptionsType.NONE, value, constant)
    graph.finish(node, value)


def function(op: Op, fixed: Quant) -> Callable[[Rewriter, Node], None]:
    """An operator of one input, whose result is `fixed` on integers."""

    def write(graph: Rewriter, node: Node) -> None:
        value, sink = graph.value(node.inputs[0]), graph.sink(node)
        on_integers = value.quant is not None and sink.quant is not None
        value = value if on_integers else graph.floats(value)
        quant = fixed if on_integers else None
        graph.finish(node, graph.emit(op, [value], replace(value, quant=quant)))

    return write


def leaky_relu(graph: Rewriter, node: Node) -> None:
    """LeakyRelu."""
    value, sink = graph.value(node.inputs[0]), graph.sink(node)
    on_integers = value.quant is not None and sink.quant is not None
    value = value if on_integers else graph.floats(value)
    alpha = Number("f", float(node.attributes.get("alpha", 0.01)))
    options = Options(OptionsType.LEAKY_RELU, (alpha,))
    made = replace(value, quant=sink.quant if on_integers else None)
    graph.finish(node, graph.emit(Op.LEAKY_RELU, [value], made, options))


def hard_swish(graph: Rewriter, node: Node) -> None:
    """HardSwish, x min(6, max(0, x + 3)) / 6: HARD_SWISH in float.

    XNNPACK does not take that on integers, but it takes a sum and two products. The first product
    is six times the answer; the second one only changes its scale, so its integers stay the same.
    """
    value, sink = graph.value(node.inputs[0]), graph.sink(node)
    if value.quant is None or sink.quant is None:
        graph.finish(node, graph.emit(Op.HARD_SWISH, [graph.floats(value)], _float_like(value)))
        return
    sixfold = Quant((6 * sink.quant.scale,), sink.quant.zero_point)
    product = _on_integers(graph, Op.MUL, value, _three_more(graph, value), sixfold)
    graph.finish(node, _on_integers(graph, Op.MUL, product, _sixth(graph), sink.quant))


def _three_more(graph: Rewriter, value: Value) -> Value:
    """min(6, max(0, x + 3)): saturation does the rest of it."""
    three = graph.put(np.array(_LARGEST, np.int8), quant=Quant((3 / _LARGEST,)))
    return _on_integers(graph, Op.ADD, value, three, Quant((6 / 255,), -128))


def _sixth(graph: Rewriter) -> Value:
    return graph.put(np.array(_LARGEST, np.int8), quant=Quant((1 / (6 * _LARGEST),)))


def _on_integers(graph: Rewriter, op: Op, first: Value, second: Value, quant: Quant) -> Value:
    kind = OptionsType.ADD if op is Op.ADD else OptionsType.MUL
    options = Options(kind, (Number("b", Activation.NONE),))
    return graph.emit(op, [first, second], replace(first, quant=quant), options)


def hard_sigmoid(graph: Rewriter, node: Node) -> None:
    """HardSigmoid, max(0, min(1, alpha x + beta)), for which TFLite has no operator."""
    value, sink = graph.value(node.inputs[0]), graph.sink(node)
    alpha, beta = (float(node.attributes.get(*each)) for each in (("alpha", 0.2), ("beta", 0.5)))
    if value.quant and sink.quant and np.allclose((alpha, beta), (1 / 6, 0.5), rtol=1e-6):
        scaled = _three_more(graph, value), _sixth(graph)
        graph.finish(node, _on_integers(graph, Op.MUL, *scaled, sink.quant))
        return
    value = graph.floats(value)
    value = _scaled(graph, value, alpha)
    offset, one = (graph.put(np.array(each, np.float32)) for each in (beta, 1.0))
    options = Options(OptionsType.ADD, (Number("b", Activation.RELU),))
    value = graph.emit(Op.ADD, [value, offset], value, options)
    graph.finish(node, _float(graph, Op.MINIMUM, OptionsType.NONE, value, one))


def softmax(graph: Rewriter, node: Node) -> None:
    """Softmax over the last axis, in float."""
    value = graph.plain(graph.floats(graph.value(node.inputs[0])))
    if graph.opset < _SOFTMAX_OF_ONE_AXIS and len(value.shape) > 2:
        raise refusal(node, "is of an opset where it flattens")
    default = 1 if len(value.shape) == 2 else -1
    if int(node.attributes.get("axis", default)) % len(value.shape) != len(value.shape) - 1:
        raise refusal(node, "is not over the last axis")
    options = Options(OptionsType.SOFTMAX, (Number("f", 1.0),))
    graph.finish(node, graph.emit(Op.SOFTMAX, [value], value, options))


def local_response_normalization(graph: Rewriter, node: Node) -> None:
    """LRN over an odd number of channels, in float; TFLite does not divide alpha by it."""
    value = graph.images(graph.floats(graph.value(node.inputs[0])))
    size = int(node.attributes["size"])
    if size % 2 == 0:
        raise refusal(node, f"is over {size} channels")
    alpha, beta, bias = (
        float(node.attributes.get(name, default))
        for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    slots = (Number("i", size // 2), *(Number("f", each) for each in (bias, alpha / size, beta)))
    options = Options(OptionsType.LOCAL_RESPONSE_NORMALIZATION, slots)
    made = replace(value, quant=None)
    graph.finish(node, graph.emit(Op.LOCAL_RESPONSE_NORMALIZATION, [value], made, options))


def euclidean_norm(graph: Rewriter, node: Node) -> None:
    """ReduceL2 over channels, in float."""
    value = graph.images(graph.floats(graph.value(node.inputs[0])))
    axes = node.ints("axes")
    if len(node.inputs) > 1 and (told := graph.constant(node.inputs[1])) is not None:
        axes = tuple(int(axis) for axis in told)
    if axes not in ((1,), (-3,)) or not node.attributes.get("keepdims", 1):
        raise refusal(node, "is not over channels")
    squares = _float(graph, Op.MUL, OptionsType.MUL, value, value)
    made = replace(squares, shape=(value.shape[0], 1, *value.shape[2:]))
    options = Options(OptionsType.REDUCER, (Number("?", 1),))
    axis = graph.put(np.array([3], np.int32))
    total = graph.emit(Op.SUM, [squares, axis], made, options)
    graph.finish(node, graph.emit(Op.SQRT, [total], made))
