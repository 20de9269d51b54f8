"""Windows that slide over an image, and the padding that ONNX and TFLite say in different ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgecnn.runtime.engines.tflite.flatbuffer import Number
from edgecnn.runtime.engines.tflite.graph import Rewriter, Shape, Value, refusal
from edgecnn.runtime.engines.tflite.onnx_graph import Node
from edgecnn.runtime.engines.tflite.schema import Op, Padding

_LOWEST = -128


@dataclass(frozen=True, slots=True)
class Window:
    """A window's size, steps and padding, each (height, width), and the outputs that it makes.

    `after` may be negative: the last rows of the image that no window reaches.
    """

    kernel: Shape
    strides: Shape
    dilations: Shape
    before: Shape
    after: Shape
    outputs: Shape

    @property
    def is_valid(self) -> bool:
        """Whether no window reaches over an edge."""
        return not any(self.before) and max(self.after) <= 0

    def is_same(self, sizes: Shape) -> bool:
        """Whether TFLite's SAME pads an image of this (height, width) in the same way."""
        ends = zip(sizes, self.before, self.after, self.strides, self.outputs, strict=True)
        return all(
            outputs == -(-size // stride)
            and (before, max(0, after)) == _halves(max(0, before + after))
            for size, before, after, stride, outputs in ends
        )

    def numbers(self, padding: Padding) -> tuple[Number, Number, Number]:
        """Padding and strides, as the options of every operator with a window begin."""
        height, width = self.strides
        return Number("b", padding), Number("i", width), Number("i", height)


def _halves(total: int) -> Shape:
    return total // 2, total - total // 2


def window(node: Node, kernel: Shape, image: Value) -> Window:
    """The window of a Conv or pooling over an image; raises EngineError for SAME_LOWER."""
    strides, dilations = node.ints("strides", (1, 1)), node.ints("dilations", (1, 1))
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    sizes = image.shape[2:]
    automatic = node.attributes.get("auto_pad", b"NOTSET")
    if automatic == b"SAME_LOWER":
        raise refusal(node, "has auto_pad SAME_LOWER")
    if automatic == b"SAME_UPPER":
        outputs = tuple(-(-size // s) for size, s in zip(sizes, strides, strict=True))
        needs = [
            max(0, (out - 1) * s + r - size)
            for out, s, r, size in zip(outputs, strides, reach, sizes, strict=True)
        ]
        before = tuple(need // 2 for need in needs)
    else:
        pads = node.ints("pads", (0, 0, 0, 0)) if automatic == b"NOTSET" else (0, 0, 0, 0)
        before = pads[:2]
        ceil = bool(node.attributes.get("ceil_mode", 0))
        outputs = tuple(
            _count(size + pads[axis] + pads[axis + 2], reach[axis], strides[axis], pads[axis + 2])
            if ceil
            else (size + pads[axis] + pads[axis + 2] - reach[axis]) // strides[axis] + 1
            for axis, size in enumerate(sizes)
        )
    after = tuple(
        (outputs[axis] - 1) * strides[axis] + reach[axis] - size - before[axis]
        for axis, size in enumerate(sizes)
    )
    return Window(kernel, strides, dilations, before, after, outputs)


def _count(padded: int, reach: int, stride: int, after: int) -> int:
    """How many windows there are in ceil mode: the last one begins before the padding behind."""
    count = -(-(padded - reach) // stride) + 1
    return count - ((count - 1) * stride >= padded - after)


def padded(
    graph: Rewriter, image: Value, over: Window, *, lowest: bool = False
) -> tuple[Value, Padding]:
    """The image as TFLite's windows want it: as it is, or with a border where neither word fits.

    The border is of zeros, or of the lowest value that there is.
    """
    if over.is_same(image.shape[2:]):
        return image, Padding.SAME
    if over.is_valid:
        return image, Padding.VALID
    (top, left), (bottom, right) = over.before, (max(0, end) for end in over.after)
    return bordered(graph, image, (top, bottom, left, right), lowest=lowest), Padding.VALID


def bordered(
    graph: Rewriter, image: Value, border: tuple[int, int, int, int], *, lowest: bool = False
) -> Value:
    """An image with its channels last, and rows and columns around it: top, bottom, left, right."""
    batch, channels, height, width = image.shape
    top, bottom, left, right = border
    made = replace(image, shape=(batch, channels, height + top + bottom, width + left + right))
    around = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    sizes = graph.put(around)
    # With zero point -128 the lowest value is zero.
    if not lowest or (image.quant is not None and image.quant.zero_point == _LOWEST):
        return graph.emit(Op.PAD, [image, sizes], made)
    if image.quant is None:
        fill = graph.put(np.array([np.finfo(np.float32).min], np.float32))
    else:
        fill = graph.put(np.array([_LOWEST], np.int8), quant=image.quant)
    return graph.emit(Op.PADV2, [image, sizes, fill], made)
