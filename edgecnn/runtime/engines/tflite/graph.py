"""An ONNX graph while it becomes a TFLite model: which tensor holds each of its values.

A value is kept as integers as long as nobody asks for floats, so Q and DQ nodes are mostly
nothing but names. Images lie channels last where an operator wants it so, and change only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import EngineError
from edgecnn.runtime.engines.tflite.model import NO_OPTIONS, Options, Quant, TfliteModel
from edgecnn.runtime.engines.tflite.onnx_graph import Graph, Node
from edgecnn.runtime.engines.tflite.schema import Activation, Op

Array = NDArray[Any]
Shape = tuple[int, ...]

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the model: its number, its shape in ONNX's order, its integers if it has some.

    `channels_last` says that the tensor's own shape is (batch, height, width, channels).
    """

    index: int
    shape: Shape
    quant: Quant | None = None
    channels_last: bool = False

    @property
    def stored_shape(self) -> Shape:
        """The shape of the tensor itself."""
        return permuted(self.shape, TO_NHWC) if self.channels_last else self.shape

    @property
    def is_flat(self) -> bool:
        """Whether its elements lie in the same order with channels first and last."""
        return len(self.shape) == 4 and (self.shape[1] == 1 or self.shape[2] * self.shape[3] == 1)


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a node's output goes: through an activation function, into a QuantizeLinear.

    `output` is the name of what the activation function makes; `quant` is None where anybody
    reads floats.
    """

    output: str
    activation: Activation = Activation.NONE
    quant: Quant | None = None


def refusal(node: Node, why: str) -> EngineError:
    """Says which node is not written as TFLite, and why."""
    return EngineError(
        f"litert: {node.told} {why}", hint="use --engine onnxruntime, which runs every file"
    )


class Rewriter:
    """The model under construction, and by ONNX's names the values that it holds so far."""

    def __init__(self, graph: Graph) -> None:
        self.model = TfliteModel()
        self.values: dict[str, Value] = {}
        self.fused: set[str] = set()
        """Outputs of activation functions that the operator before them computes."""
        self._graph = graph
        self._readers: dict[str, list[Node]] = {}
        self._memo: dict[tuple[int, object], Value] = {}
        self._node = Node("", "", (), ("",))
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        self._outputs = {spec.name for spec in graph.outputs}
        self._scaled = {
            node.outputs[0]: node
            for node in graph.nodes
            if node.op == "DequantizeLinear" and node.inputs[0] in graph.constants
        }

    @property
    def opset(self) -> int:
        """The version of ONNX's operators that the file speaks."""
        return self._graph.header.opset

    def begin(self, node: Node) -> None:
        """From here on tensors carry the name of this node's output."""
        self._node = node

    # --- constants

    def is_constant(self, name: str) -> bool:
        """Whether a name stands for numbers in the file, integers with a scale included."""
        return name in self._graph.constants or name in self._scaled

    def constant(self, name: str) -> Array | None:
        """The numbers in the file, those with a scale as float32; None of what is computed."""
        if name in self._graph.constants:
            return self._graph.constants[name]
        found = self.integers(name)
        if found is None:
            return None
        integers, quant = found
        scales = np.array(quant.scales, np.float32).reshape(
            [-1 if axis == quant.axis else 1 for axis in range(integers.ndim)] or ()
        )
        return np.asarray((integers.astype(np.float32) - quant.zero_point) * scales, np.float32)

    def integers(self, name: str) -> tuple[Array, Quant] | None:
        """The integers of a constant behind a DequantizeLinear, in their own type."""
        node = self._scaled.get(name)
        if node is None:
            return None
        integers = self._graph.constants[node.inputs[0]]
        scales, zero_point = self._parameters(node)
        axis = int(node.attributes.get("axis", 1)) if len(scales) > 1 else 0
        return integers, Quant(scales, zero_point, axis % max(1, integers.ndim))

    def quant_of(self, node: Node) -> Quant:
        """What a QuantizeLinear or DequantizeLinear of activations says, for int8.

        uint8 becomes int8 by 128 less, which is exact. Raises EngineError for other types and for
        scales by channel that differ.
        """
        scales, zero_point = self._parameters(node)
        unsigned = self._zero_point(node).dtype == np.uint8
        if self._zero_point(node).dtype not in (np.uint8, np.int8) or len(set(scales)) > 1:
            raise refusal(node, "has activations that are no int8 with one scale")
        return Quant(scales[:1], zero_point - 128 * unsigned)

    def _parameters(self, node: Node) -> tuple[tuple[float, ...], int]:
        if node.attributes.get("block_size", 0) or node.attributes.get("output_dtype", 0):
            raise refusal(node, "has blocks, or a type of its own")
        scale = self._graph.constants.get(node.inputs[1])
        zero_points = set(self._zero_point(node).ravel().tolist())
        if scale is None or scale.dtype != np.float32 or len(zero_points) > 1:
            raise refusal(node, "has scales that are not constant float32 with one zero point")
        return tuple(scale.ravel().tolist()), int(zero_points.pop())

    def _zero_point(self, node: Node) -> Array:
        """By ONNX's rule uint8 where none is said."""
        if len(node.inputs) < 3 or not node.inputs[2]:
            return np.zeros((), np.uint8)
        if node.inputs[2] not in self._graph.constants:
            raise refusal(node, "has a zero point that is not constant")
        return self._graph.constants[node.inputs[2]]

    # --- what is read

    def value(self, name: str) -> Value:
        """A value as it is; a constant becomes a float tensor."""
        if name not in self.values:
            constant = self.constant(name)
            if constant is None:
                raise KeyError(name)
            self.values[name] = self.put(np.asarray(constant, np.float32))
        return self.values[name]

    def floats(self, value: Value) -> Value:
        """The value as float32."""
        if value.quant is None:
            return value
        return self._once(value, "floats", Op.DEQUANTIZE, replace(value, quant=None))

    def requantized(self, value: Value, quant: Quant) -> Value:
        """The value with these integers, whatever it had before."""
        if value.quant == quant:
            return value
        return self._once(value, quant, Op.QUANTIZE, replace(value, quant=quant))

    def images(self, value: Value) -> Value:
        """A value of four axes with its channels last; raises EngineError where it has others."""
        if len(value.shape) != len(TO_NHWC):
            raise refusal(self._node, f"works on {len(value.shape) - 2} axes, not on images")
        return value if value.channels_last else self._transposed(value, TO_NHWC)

    def plain(self, value: Value) -> Value:
        """The value with its axes in ONNX's order."""
        return self._transposed(value, TO_NCHW) if value.channels_last else value

    def sink(self, node: Node) -> Sink:
        """Where a node's first output goes; the activation function counts as a part of it."""
        name, activation = node.outputs[0], Activation.NONE
        after = self._only_reader(name)
        if after is not None and (found := self._activation(after)):
            activation, name = found, after.outputs[0]
            after = self._only_reader(name)
        if after is not None and after.op == "QuantizeLinear":
            return Sink(name, activation, self.quant_of(after))
        return Sink(name, activation)

    def _only_reader(self, name: str) -> Node | None:
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self._outputs else None

    def _activation(self, node: Node) -> Activation:
        if node.op == "Relu":
            return Activation.RELU
        if node.op == "Clip" and self.clip_bounds(node) == (0.0, 6.0):
            return Activation.RELU6
        return Activation.NONE

    def clip_bounds(self, node: Node) -> tuple[float, float]:
        """The least and the largest value that a Clip lets through; raises EngineError."""
        # Up to opset 10 they were attributes.
        bounds = [node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)]
        for place, name in enumerate(node.inputs[1:]):
            if name and self.constant(name) is None:
                raise refusal(node, "has bounds that are computed")
            bounds[place] = float(np.asarray(self.constant(name)).item()) if name else bounds[place]
        return bounds[0], bounds[1]

    # --- what is written

    def put(self, data: Array, *, quant: Quant | None = None) -> Value:
        """A constant tensor."""
        index = self.model.tensor(
            f"{self._node.outputs[0]}:{data.shape}",
            data.shape,
            data.dtype.name,
            quant=quant,
            data=data,
        )
        return Value(index, tuple(data.shape), quant)

    def emit(
        self, op: Op, inputs: Sequence[Value], made: Value, options: Options = NO_OPTIONS
    ) -> Value:
        """Add an operator whose output is like `made`, and return its output."""
        dtype = "float32" if made.quant is None else "int8"
        name = self._node.outputs[0]
        index = self.model.tensor(name, made.stored_shape, dtype, quant=made.quant)
        self.model.operator(op, [value.index for value in inputs], [index], options)
        return replace(made, index=index)

    def finish(self, node: Node, value: Value, sink: Sink | None = None) -> None:
        """Say what a node's first output is, and that its activation function is in it."""
        self.values[node.outputs[0]] = value
        if sink is not None and sink.activation:
            self.values[sink.output] = value
            self.fused.add(sink.output)

    def reshaped(self, value: Value, shape: Shape) -> Value:
        """The same elements in the same order, which must be ONNX's, in another shape."""
        sizes = self.put(np.array(shape, np.int32))
        return self.emit(Op.RESHAPE, [value, sizes], Value(0, shape, value.quant))

    def transposed(self, value: Value, order: Shape) -> Value:
        """The tensor with its own axes in another order, as a value in ONNX's order."""
        axes = self.put(np.array(order, np.int32))
        made = Value(0, permuted(value.shape, order), value.quant)
        return self.emit(Op.TRANSPOSE, [value, axes], made)

    def _transposed(self, value: Value, order: Shape) -> Value:
        made = replace(value, channels_last=not value.channels_last)
        if (value.index, order) not in self._memo:
            op = Op.RESHAPE if value.is_flat else Op.TRANSPOSE
            told = made.stored_shape if value.is_flat else order
            second = self.put(np.array(told, np.int32))
            self._memo[value.index, order] = self.emit(op, [value, second], made)
        return replace(made, index=self._memo[value.index, order].index)

    def _once(self, value: Value, key: object, op: Op, made: Value) -> Value:
        if (value.index, key) not in self._memo:
            self._memo[value.index, key] = self.emit(op, [value], made)
        return replace(made, index=self._memo[value.index, key].index)


def permuted(shape: Shape, order: Shape) -> Shape:
    """The sizes of the axes in another order."""
    return tuple(shape[axis] for axis in order)
