"""What only moves values or selects some: integers stay the integers that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgecnn.runtime.engines.tflite.flatbuffer import Number
from edgecnn.runtime.engines.tflite.graph import (
    TO_NCHW,
    TO_NHWC,
    Rewriter,
    Shape,
    Value,
    permuted,
    refusal,
)
from edgecnn.runtime.engines.tflite.model import Options, Quant
from edgecnn.runtime.engines.tflite.onnx_graph import Node
from edgecnn.runtime.engines.tflite.schema import Activation, Op, OptionsType
from edgecnn.runtime.engines.tflite.windows import bordered


def same(graph: Rewriter, node: Node) -> None:
    """Identity and Dropout."""
    graph.finish(node, graph.value(node.inputs[0]))


def concat(graph: Rewriter, node: Node) -> None:
    """Concat: CONCATENATION, on integers at one scale."""
    sink = graph.sink(node)
    values = [graph.value(name) for name in node.inputs]
    quant = _joint_quant(values, sink.quant)
    if quant is None:
        values = [graph.floats(value) for value in values]
    else:
        values = [graph.requantized(value, quant) for value in values]
    if any(value.channels_last for value in values):
        values = [graph.images(value) for value in values]
    rank = len(values[0].shape)
    axis = int(node.attributes["axis"]) % rank
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    stored = TO_NHWC.index(axis) if values[0].channels_last else axis
    slots = (Number("i", stored), Number("b", Activation.NONE))
    options = Options(OptionsType.CONCATENATION, slots)
    made = replace(values[0], shape=tuple(shape))
    graph.finish(node, graph.emit(Op.CONCATENATION, values, made, options))


def _joint_quant(values: Sequence[Value], wanted: Quant | None) -> Quant | None:
    """The integers of all of them: what the file says, or what they have in common."""
    if any(value.quant is None for value in values):
        return None
    common = {value.quant for value in values}
    return wanted or (common.pop() if len(common) == 1 else None)


def reshape(graph: Rewriter, node: Node) -> None:
    """Reshape, Flatten, Squeeze and Unsqueeze."""
    value = graph.value(node.inputs[0])
    shape = _SHAPES[node.op](graph, node, value.shape)
    if not value.is_flat:
        value = graph.plain(value)
    graph.finish(node, graph.reshaped(value, shape))


def _reshape_to(graph: Rewriter, node: Node, shape: Shape) -> Shape:
    wanted = graph.constant(node.inputs[1])
    if wanted is None:
        raise refusal(node, "has a shape that is computed")
    copies = not node.attributes.get("allowzero", 0)
    sizes = [
        shape[place] if size == 0 and copies else int(size) for place, size in enumerate(wanted)
    ]
    known = int(np.prod([size for size in sizes if size >= 0]))
    return tuple(int(np.prod(shape)) // known if size < 0 else size for size in sizes)


def _flat(graph: Rewriter, node: Node, shape: Shape) -> Shape:
    axis = int(node.attributes.get("axis", 1))
    axis += len(shape) * (axis < 0)
    return int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))


def _squeezed(graph: Rewriter, node: Node, shape: Shape) -> Shape:
    axes = {axis % len(shape) for axis in _axes(graph, node)}
    gone = axes or {axis for axis, size in enumerate(shape) if size == 1}
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def _unsqueezed(graph: Rewriter, node: Node, shape: Shape) -> Shape:
    told, sizes = _axes(graph, node), list(shape)
    for axis in sorted(axis % (len(shape) + len(told)) for axis in told):
        sizes.insert(axis, 1)
    return tuple(sizes)


def _axes(graph: Rewriter, node: Node) -> Shape:
    if len(node.inputs) < 2:
        return node.ints("axes")
    return _numbers(graph, node, 1)


_SHAPES = {
    "Reshape": _reshape_to,
    "Flatten": _flat,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
}


def transpose(graph: Rewriter, node: Node) -> None:
    """Transpose; where it puts the channels last they mostly lie there already."""
    value = graph.value(node.inputs[0])
    order = node.ints("perm", tuple(reversed(range(len(value.shape)))))
    shape = permuted(value.shape, order)
    if value.channels_last and order == TO_NHWC:
        graph.finish(node, replace(value, shape=shape, channels_last=False))
    elif order == TO_NCHW and len(shape) == 4 and not value.channels_last:
        graph.finish(node, replace(value, shape=shape, channels_last=True))
    else:
        graph.finish(node, graph.transposed(graph.plain(value), order))


def pad(graph: Rewriter, node: Node) -> None:
    """Pad with zeros: PAD."""
    value = graph.value(node.inputs[0])
    rank = len(value.shape)
    pads = node.ints("pads") or _numbers(graph, node, 1)
    if len(node.inputs) > 3 and node.inputs[3]:
        raise refusal(node, "names axes")
    fill = graph.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    is_constant = node.attributes.get("mode", b"constant") == b"constant"
    fill = node.attributes.get("value", fill)  # as an attribute up to opset 10
    if not is_constant or min(pads) < 0 or (fill is not None and np.any(fill)):
        raise refusal(node, "does not add zeros")
    around = np.array(pads, np.int32).reshape(2, rank).T
    if rank == 4 and not around[:2].any():
        (top, bottom), (left, right) = around[2:].tolist()
        graph.finish(node, bordered(graph, graph.images(value), (top, bottom, left, right)))
        return
    shape = tuple(int(size + ends.sum()) for size, ends in zip(value.shape, around, strict=True))
    stored = around[list(TO_NHWC)] if value.channels_last else around
    constant = graph.put(np.ascontiguousarray(stored))
    graph.finish(node, graph.emit(Op.PAD, [value, constant], replace(value, shape=shape)))


def slice_(graph: Rewriter, node: Node) -> None:
    """Slice with constant bounds: STRIDED_SLICE."""
    value = graph.value(node.inputs[0])
    rank = len(value.shape)
    starts, ends = _numbers(graph, node, 1), _numbers(graph, node, 2)
    axes = (
        _numbers(graph, node, 3)
        if len(node.inputs) > 3 and node.inputs[3]
        else tuple(range(len(starts)))
    )
    steps = (
        _numbers(graph, node, 4) if len(node.inputs) > 4 and node.inputs[4] else (1,) * len(starts)
    )
    if min(steps) < 1:
        raise refusal(node, "goes backwards")
    cut = [slice(0, size, 1) for size in value.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = value.shape[axis % rank]
        cut[axis % rank] = slice(*slice(start, end, step).indices(size))
    graph.finish(node, _cut_out(graph, value, cut))


def split(graph: Rewriter, node: Node) -> None:
    """Split: a STRIDED_SLICE for each part."""
    value = graph.value(node.inputs[0])
    axis = int(node.attributes.get("axis", 0)) % len(value.shape)
    size, count = value.shape[axis], len(node.outputs)
    part = -(-size // count)
    parts = node.ints("split") or (*[part] * (count - 1), size - part * (count - 1))
    if len(node.inputs) > 1 and node.inputs[1]:
        parts = _numbers(graph, node, 1)
    start = 0
    for name, length in zip(node.outputs, parts, strict=True):
        cut = [slice(0, each, 1) for each in value.shape]
        cut[axis] = slice(start, start + length, 1)
        graph.values[name] = _cut_out(graph, value, cut)
        start += length


def _cut_out(graph: Rewriter, value: Value, cut: list[slice]) -> Value:
    shape = tuple(len(range(part.start, part.stop, part.step)) for part in cut)
    stored = [cut[axis] for axis in TO_NHWC] if value.channels_last else cut
    bounds = [
        graph.put(np.array([getattr(part, end) for part in stored], np.int32))
        for end in ("start", "stop", "step")
    ]
    options = Options(OptionsType.STRIDED_SLICE, (Number("i", 0),) * 5)
    return graph.emit(Op.STRIDED_SLICE, [value, *bounds], replace(value, shape=shape), options)


def _numbers(graph: Rewriter, node: Node, place: int) -> Shape:
    """A constant list of integers; raises EngineError where there is none."""
    found = graph.constant(node.inputs[place]) if len(node.inputs) > place else None
    if found is None:
        raise refusal(node, "has no constant numbers to go by")
    return tuple(int(number) for number in found.ravel())
