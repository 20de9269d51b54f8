"""What makes one value of many: pooling, means, resizing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgecnn.runtime.engines.tflite.flatbuffer import Number
from edgecnn.runtime.engines.tflite.graph import TO_NHWC, Rewriter, Value, refusal
from edgecnn.runtime.engines.tflite.layers import conv_options
from edgecnn.runtime.engines.tflite.model import Options, Quant
from edgecnn.runtime.engines.tflite.onnx_graph import Node
from edgecnn.runtime.engines.tflite.schema import Activation, Op, OptionsType, Padding
from edgecnn.runtime.engines.tflite.windows import Window, bordered, padded, window

_LARGEST_WEIGHT = 127


def max_pool(graph: Rewriter, node: Node) -> None:
    """MaxPool: MAX_POOL_2D, on integers as they are."""
    image = graph.images(graph.value(node.inputs[0]))
    over = window(node, node.ints("kernel_shape"), image)
    if over.dilations != (1, 1) or len(node.outputs) > 1:
        raise refusal(node, "has dilations or a second output")
    image, padding = padded(graph, image, over, lowest=True)
    made = replace(image, shape=(*image.shape[:2], *over.outputs))
    graph.finish(node, graph.emit(Op.MAX_POOL_2D, [image], made, _pool_options(over, padding)))


def average_pool(graph: Rewriter, node: Node) -> None:
    """AveragePool: AVERAGE_POOL_2D, or on integers a DEPTHWISE_CONV_2D, which rounds once."""
    image, sink = graph.images(graph.value(node.inputs[0])), graph.sink(node)
    over = window(node, node.ints("kernel_shape"), image)
    counts_pads = bool(node.attributes.get("count_include_pad", 0)) and not over.is_valid
    if counts_pads and node.attributes.get("ceil_mode", 0):
        raise refusal(node, "counts padding in ceil mode")
    if not over.is_valid and not counts_pads and not over.is_same(image.shape[2:]):
        raise refusal(node, "leaves out padding that is not TFLite's")
    on_integers = image.quant is not None and sink.quant is not None
    if not on_integers:
        image = graph.floats(image)
    padding = Padding.VALID if over.is_valid or counts_pads else Padding.SAME
    if counts_pads:
        (top, left), (bottom, right) = over.before, (max(0, end) for end in over.after)
        image = bordered(graph, image, (top, bottom, left, right))
    made = replace(image, shape=(*image.shape[:2], *over.outputs))
    if on_integers and padding is Padding.VALID:
        graph.finish(node, _averaging(graph, image, over, replace(made, quant=sink.quant)))
        return
    pooled = graph.emit(Op.AVERAGE_POOL_2D, [image], made, _pool_options(over, padding))
    graph.finish(node, pooled)


def _averaging(graph: Rewriter, image: Value, over: Window, made: Value) -> Value:
    """A convolution by channel whose weights are all the same."""
    channels, given = image.shape[1], image.quant
    assert given is not None
    scale = 1 / (_LARGEST_WEIGHT * over.kernel[0] * over.kernel[1])
    filters = np.full((1, *over.kernel, channels), _LARGEST_WEIGHT, np.int8)
    weights = graph.put(filters, quant=Quant((scale,) * channels, axis=3))
    unit = Quant((float(np.float32(scale) * np.float32(given.scale)),) * channels)
    bias = graph.put(np.zeros(channels, np.int32), quant=unit)
    options = conv_options(over, Padding.VALID, Activation.NONE, multiplier=1)
    return graph.emit(Op.DEPTHWISE_CONV_2D, [image, weights, bias], made, options)


def global_average_pool(graph: Rewriter, node: Node) -> None:
    """GlobalAveragePool: MEAN over all but batch and channels."""
    rank = len(graph.value(node.inputs[0]).shape)
    _mean(graph, node, axes=tuple(range(2, rank)), keeps=True)


def reduce_mean(graph: Rewriter, node: Node) -> None:
    """ReduceMean: MEAN."""
    axes = node.ints("axes")
    if len(node.inputs) > 1 and node.inputs[1]:
        told = graph.constant(node.inputs[1])
        if told is None:
            raise refusal(node, "has axes that are computed")
        axes = tuple(int(axis) for axis in told)
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        raise refusal(node, "is over no axes")
    _mean(graph, node, axes=axes, keeps=bool(node.attributes.get("keepdims", 1)))


def _mean(graph: Rewriter, node: Node, *, axes: tuple[int, ...], keeps: bool) -> None:
    value, sink = graph.value(node.inputs[0]), graph.sink(node)
    rank = len(value.shape)
    axes = tuple(sorted(axis % rank for axis in axes)) or tuple(range(rank))
    on_integers = value.quant is not None and sink.quant is not None
    if not on_integers:
        value = graph.floats(value)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape))
    order = TO_NHWC if value.channels_last else tuple(range(rank))
    stored = tuple(place for place, axis in enumerate(order) if axis in axes)
    options = Options(OptionsType.REDUCER, (Number("?", 1),))
    made = Value(0, kept, sink.quant if on_integers else None, value.channels_last)
    constant = graph.put(np.array(stored, np.int32))
    mean = graph.emit(Op.MEAN, [value, constant], made, options)
    if not keeps:
        shape = tuple(size for axis, size in enumerate(value.shape) if axis not in axes)
        mean = graph.reshaped(mean if mean.is_flat else graph.plain(mean), shape)
    graph.finish(node, mean)


def resize(graph: Rewriter, node: Node) -> None:
    """Resize of images by nearest neighbours, whole times larger, or linearly.

    Of TFLite's nearest neighbours it needs the one that comes before, which both pairs mean.
    """
    image, sink = graph.images(graph.value(node.inputs[0])), graph.sink(node)
    sizes = _resized(graph, node, image)
    mode = node.attributes.get("mode", b"nearest")
    place = node.attributes.get("coordinate_transformation_mode", b"half_pixel")
    rounding = node.attributes.get("nearest_mode", b"round_prefer_floor")
    whole = all(to % of == 0 for to, of in zip(sizes, image.shape[2:], strict=True))
    if mode == b"nearest" and whole and (place, rounding) in _NEAREST:
        op = Op.RESIZE_NEAREST_NEIGHBOR
        options = Options(OptionsType.RESIZE_NEAREST_NEIGHBOR, (Number("?", 0), Number("?", 0)))
    elif mode == b"linear" and place in _CORNERS and min(sizes) > 1:
        image = image if sink.quant is not None else graph.floats(image)
        op = Op.RESIZE_BILINEAR
        flags = tuple(Number("?", flag) for flag in _CORNERS[place])
        options = Options(OptionsType.RESIZE_BILINEAR, (Number("i", 0), Number("i", 0), *flags))
    else:
        raise refusal(node, f"has mode {mode!r} with {place!r}")
    made = replace(image, shape=(*image.shape[:2], *sizes))
    constant = graph.put(np.array(sizes, np.int32))
    graph.finish(node, graph.emit(op, [image, constant], made, options))


_NEAREST = (
    (b"asymmetric", b"floor"),
    *((place, b"round_prefer_floor") for place in (b"half_pixel", b"pytorch_half_pixel")),
)
# ONNX's word -> TFLite's align_corners and half_pixel_centers.
_CORNERS = {
    b"align_corners": (True, False),
    b"half_pixel": (False, True),
    b"pytorch_half_pixel": (False, True),
    b"asymmetric": (False, False),
}


def _resized(graph: Rewriter, node: Node, image: Value) -> tuple[int, ...]:
    """Height and width after it; raises EngineError where they are computed or channels change."""
    names = [*node.inputs, "", "", ""]
    told = [graph.constant(name) if name else None for name in names[2:4]]
    scales, sizes = (None if each is None or not each.size else each for each in told)
    if sizes is not None:
        shape = tuple(int(size) for size in sizes)
    elif scales is not None:
        exact = np.array(image.shape) * scales.astype(np.float64)
        if (exact != np.rint(exact)).any():
            raise refusal(node, "makes sizes that are not whole")
        shape = tuple(int(size) for size in exact)
    else:
        raise refusal(node, "has a size that is computed")
    if shape[:2] != image.shape[:2] or node.attributes.get("antialias", 0):
        raise refusal(node, "does more than resize images")
    return shape[2:]


def _pool_options(over: Window, padding: Padding) -> Options:
    height, width = over.kernel
    rest = (Number("i", width), Number("i", height), Number("b", Activation.NONE))
    return Options(OptionsType.POOL_2D, (*over.numbers(padding), *rest))
