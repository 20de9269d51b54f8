"""Writing a plan and its ranges as an ONNX graph with QuantizeLinear and DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from edgecnn.graph.integers import (
    QParams,
    activation_qparams,
    quantize_bias,
    quantize_weight,
    roomy_scales,
)
from edgecnn.graph.model_io import shapes_of
from edgecnn.graph.opset import in_opset_17
from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.shift import SHIFTED
from edgecnn.graph.targets import Target
from edgecnn.graph.wiring import (
    FloatArray,
    drop_unused,
    named_tensor,
    set_attribute,
    set_nodes,
    wiring,
)

_QUANTIZED = "_quantized"
_ROUNDING = 1.000001  # what float32 may add to a product


def quantized_name(tensor: str) -> str:
    """The name of a tensor's integers in the quantized graph."""
    return f"{tensor}{_QUANTIZED}"


def is_quantized_name(tensor: str) -> bool:
    """Whether a tensor of the quantized graph holds integers."""
    return tensor.endswith(_QUANTIZED)


def bias_name(layer: Layer) -> str:
    """The name of a layer's int32 bias in the quantized graph."""
    return quantized_name(f"{layer.name}_bias")


def float_bias_name(layer: Layer) -> str:
    """The name of a layer's bias in a quantized graph that keeps it in float."""
    return f"{layer.name}_float_bias"


def write_qdq(
    model: ModelProto,
    plan: Plan,
    target: Target,
    *,
    ranges: Mapping[str, tuple[float, float]],
    weight_scales: Mapping[str, FloatArray],
) -> ModelProto:
    """The quantized version of a folded model.

    `ranges` holds (low, high) of each of `plan.watched`, `weight_scales` the scale of each output
    channel by layer name.
    """
    written = _Writer(model, plan, target).write(ranges, weight_scales)
    return in_opset_17(written) if target.opset_17 else written


class _Writer:
    def __init__(self, model: ModelProto, plan: Plan, target: Target) -> None:
        self._plan = plan
        self._target = target
        self._edges = wiring(model)
        self._shapes = shapes_of(model)
        self._layers = {layer.name: layer for layer in plan.layers}
        self._qparams: dict[str, QParams] = {}
        self._offsets: dict[str, np.float32] = {}
        self._weight_scales: Mapping[str, FloatArray] = {}
        self._made_by_integers = {
            plan.absorbed.get(node.name, name)
            for node in model.graph.node
            if node.name in plan.integer_nodes
            for name in node.output
        }
        self._source = model
        self._model = _without_graph(model)

    def write(
        self, ranges: Mapping[str, tuple[float, float]], weight_scales: Mapping[str, FloatArray]
    ) -> ModelProto:
        self._weight_scales = weight_scales
        for name in self._plan.tensors:
            low_high = ranges[self._plan.shared.get(name, name)]
            qparams = activation_qparams(*low_high, self._plan.integers_of(name))
            if name in self._plan.shifted:
                self._offsets[name] = np.float32(-qparams.zero_point * qparams.scale)
                qparams = replace(qparams, zero_point=0)
            self._qparams[name] = qparams
        nodes: list[NodeProto] = []
        for graph_input in self._source.graph.input:
            nodes.extend(self._pair(graph_input.name))
        for node in self._source.graph.node:
            if node.name not in self._plan.dropped:
                nodes.extend(self._rewritten(node))
        set_nodes(self._model, nodes)
        drop_unused(self._model)
        self._copy_constants()
        return self._model

    def _copy_constants(self) -> None:
        """What float nodes and the shapes of others need of the source."""
        read = {name for node in self._model.graph.node for name in node.input}
        for name, tensor in self._edges.constants.items():
            if name in read:
                self._model.graph.initializer.append(tensor)

    def _add(self, name: str, value: NDArray[np.generic]) -> None:
        """One more constant; every tensor and layer has its own, so nothing is looked for."""
        self._model.graph.initializer.append(named_tensor(name, value))

    def _rewritten(self, node: NodeProto) -> Iterator[NodeProto]:
        new = NodeProto()
        new.CopyFrom(node)
        if node.name in self._plan.absorbed:
            new.output[0] = self._plan.absorbed[node.name]
        made = list(new.output)
        for index, name in enumerate(node.input):
            if name in self._qparams:
                new.input[index] = self._read(node, name)
        yield from self._adapted(node, new)
        for index, name in enumerate(made):
            new.output[index] = self._raw(name)
        yield new
        for name in made:
            yield from self._pair(name)

    def _adapted(self, node: NodeProto, new: NodeProto) -> Iterator[NodeProto]:
        """What must stand before a node, which is changed in place to fit."""
        if node.name in self._plan.integer_nodes:
            yield from self._parameters(self._layers.get(node.name), new)
        elif self._must_hide(node) and not self._target.activations.symmetric:
            yield self._hidden(node, new)
        elif self._is_just_relu(node):
            new.op_type = "Relu"
            del new.input[1:]

    def _raw(self, name: str) -> str:
        """A quantized graph output keeps its name for its last DequantizeLinear."""
        is_output = name in self._edges.outputs and name in self._qparams
        return f"{name}_raw" if is_output else name

    def _dequantized(self, name: str) -> str:
        return name if name in self._edges.outputs else f"{name}_dequantized"

    def _read(self, node: NodeProto, name: str) -> str:
        """Integers wherever they exist; a float node reads a float tensor as it is."""
        if node.name in self._plan.integer_nodes:
            return self._dequantized(name)
        # Symmetric engines take one scale for all channels, so a float layer cannot hide there.
        wants_raw = self._target.activations.symmetric and self._must_hide(node)
        if name in self._made_by_integers and not wants_raw:
            return self._dequantized(name)
        return self._raw(name)

    def _pair(self, name: str) -> Iterator[NodeProto]:
        """QuantizeLinear and DequantizeLinear behind a quantized tensor."""
        if name not in self._qparams:
            return
        qparams, integers = self._qparams[name], quantized_name(name)
        names = [f"{name}_scale", f"{name}_zero_point"]
        self._add(names[0], np.array(qparams.scale, np.float32))
        self._add(names[1], np.array(qparams.zero_point, qparams.integers.dtype))
        quantize = _node("QuantizeLinear", [self._raw(name), *names], integers)
        if name in self._plan.shifted:
            quantize.doc_string = SHIFTED
        yield quantize
        yield _node("DequantizeLinear", [integers, *names], self._dequantized(name))

    def _parameters(self, layer: Layer | None, new: NodeProto) -> Iterator[NodeProto]:
        """The layer's weights and bias as integers with their DequantizeLinear."""
        if layer is None:
            return
        weight = self._edges.value(layer.weight)
        bias = None if layer.bias is None else self._edges.value(layer.bias)
        input_scale = self._qparams[layer.input].scale
        whole = bias if self._target.integer_bias else None
        scales = roomy_scales(self._weight_scales[layer.name], whole, input_scale)
        if not self._target.per_channel:
            scales = np.full_like(scales, scales.max(initial=0))
        integers = quantize_weight(weight, scales, layer.axis, self._target.largest_weight)
        yield self._constant_pair(layer.weight, integers, scales, layer.axis)
        new.input[1] = f"{layer.weight}_dequantized"
        if bias is not None and not self._target.integer_bias:
            new.input[2] = float_bias_name(layer)
            shifted = self._shifted(layer, bias, integers, scales)
            self._add(new.input[2], shifted)
        elif bias is not None:
            unit = (input_scale * scales).astype(np.float32)
            name = f"{layer.name}_bias"
            yield self._constant_pair(name, quantize_bias(bias, unit), unit, 0)
            new.input[2] = f"{name}_dequantized"

    def _shifted(
        self, layer: Layer, bias: FloatArray, integers: NDArray[np.int8], scales: FloatArray
    ) -> FloatArray:
        """A bias less the shift of the output, with what the shift of the input took."""
        if layer.output in self._offsets:
            bias = bias - self._offsets[layer.output]
        if layer.input in self._offsets:
            inputs = tuple(axis for axis in range(integers.ndim) if axis != layer.axis)
            bias = bias + self._offsets[layer.input] * scales * integers.sum(axis=inputs)
        return np.asarray(bias, np.float32)

    def _constant_pair(
        self, name: str, integers: NDArray[np.integer], scales: FloatArray, axis: int
    ) -> NodeProto:
        stem = quantized_name(name)
        names = [stem, f"{stem}_scale", f"{stem}_zero_point"]
        self._add(names[0], integers)
        if not self._target.per_channel:
            scales = scales[:1].reshape(())
        self._add(names[1], scales)
        self._add(names[2], np.zeros(scales.shape, integers.dtype))
        on = axis if self._target.per_channel else None
        return _node("DequantizeLinear", names, f"{name}_dequantized", axis=on)

    def _is_just_relu(self, node: NodeProto) -> bool:
        """Whether saturation cuts off what a Clip would: every engine fuses a Relu into a layer."""
        name = node.output[0]
        return (
            node.op_type == "Clip"
            and name in self._qparams
            and self._plan.limits.get(name, (-1.0, 0.0))[0] == 0
            and self._qparams[name].high <= self._plan.limits[name][1] * _ROUNDING
            and all(
                reader.name in self._plan.integer_nodes
                for reader in self._edges.consumers.get(name, ())
            )
        )

    def _must_hide(self, node: NodeProto) -> bool:
        """Whether ONNX Runtime would quantize this float layer behind our back.

        Between a DequantizeLinear with one scale and a QuantizeLinear it rounds constant float
        weights to INT8 with one scale for the whole tensor (its pass WeightBiasQuantization). It
        moves the DequantizeLinear up to the layer first, past what only moves values.
        """
        return (
            self._reaches_float_layer(node)
            and node.input[0] in self._made_by_integers
            and node.input[0] in self._qparams
        )

    def _reaches_float_layer(self, node: NodeProto) -> bool:
        """Whether it is a float layer, or all that stands before one only moves values."""
        if node.name in self._plan.integer_nodes:
            return False
        if node.op_type in ("Conv", "ConvTranspose", "Gemm"):
            return True
        return node.op_type in self._target.carried and any(
            self._reaches_float_layer(reader)
            for reader in self._edges.consumers.get(node.output[0], ())
        )

    def _hidden(self, node: NodeProto, new: NodeProto) -> NodeProto:
        """A DequantizeLinear with the same scale for each channel, which that pass leaves alone."""
        name = node.input[0]
        shape = self._shapes.get(name, ())
        channels = shape[1] if len(shape) > 1 and shape[1] is not None else 1
        qparams, stem = self._qparams[name], f"{name}_for_{node.name}"
        names = [quantized_name(name), f"{stem}_scale", f"{stem}_zero_point"]
        self._add(names[1], np.full(channels, qparams.scale, np.float32))
        self._add(names[2], np.full(channels, qparams.zero_point, qparams.integers.dtype))
        new.input[0] = f"{stem}_dequantized"
        return _node("DequantizeLinear", names, new.input[0], axis=1)


def _without_graph(model: ModelProto) -> ModelProto:
    """The model's versions, metadata, inputs and outputs, without nodes and weights."""
    bare = ModelProto(
        ir_version=model.ir_version,
        opset_import=model.opset_import,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        metadata_props=model.metadata_props,
    )
    bare.graph.name = model.graph.name
    bare.graph.input.extend(model.graph.input)
    bare.graph.output.extend(model.graph.output)
    return bare


def _node(op_type: str, inputs: list[str], output: str, *, axis: int | None = None) -> NodeProto:
    node = helper.make_node(op_type, inputs, [output], name=f"{output}_{op_type}")
    if axis is not None:
        set_attribute(node, "axis", axis)
    return node
