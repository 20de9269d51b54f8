"""Where a quantized graph can be compared with the float graph that it came from.

A tensor that both have under one name is a probe. Cutting the float graph at all probes gives one
graph that says, for each stretch between them, what float arithmetic makes of quantized inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from edgecnn.errors import GraphError
from edgecnn.graph.plan import LAYER_OPS
from edgecnn.graph.session import Array
from edgecnn.graph.shift import SHIFTED
from edgecnn.graph.wiring import FloatArray, Wiring, attribute, drop_unused, wiring

_MADE = "@made"


@dataclass(frozen=True, slots=True)
class Probe:
    """A tensor of the float graph and where the quantized graph holds it.

    `found` is the name of its integers, with real = (integer - zero_point) * scale, or of floats
    where `bits` is None. `low` and `high` are the ends of what the integers can hold.
    """

    tensor: str
    found: str
    scale: float = 1.0
    zero_point: int = 0
    bits: tuple[int, int] | None = None

    @property
    def low(self) -> float:
        """The smallest real value."""
        return -np.inf if self.bits is None else (self.bits[0] - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The largest real value."""
        return np.inf if self.bits is None else (self.bits[1] - self.zero_point) * self.scale

    def real(self, values: Array) -> FloatArray:
        """What the quantized graph holds, as real values."""
        floats = values.astype(np.float32)
        if self.bits is not None:
            floats -= np.float32(self.zero_point)
            floats *= np.float32(self.scale)
        return floats


@dataclass(frozen=True, slots=True)
class Stretch:
    """The float nodes between a probe and the probes before it, the last one first."""

    nodes: tuple[NodeProto, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers with weights in it."""
        return tuple(node.name for node in self.nodes if node.op_type in LAYER_OPS)

    @property
    def name(self) -> str:
        """What to call it: the last layer with weights, else the last node; "" for an input."""
        names = self.layers or tuple(node.name for node in self.nodes)
        return names[0] if names else ""


def find_probes(model: ModelProto, quantized: ModelProto) -> tuple[Probe, ...]:
    """The probes of a folded float model and a quantized one, in graph order.

    Raises GraphError where the quantized model has no QuantizeLinear, or none whose tensor the
    float model has too.
    """
    if any(node.op_type.startswith("QLinear") for node in quantized.graph.node):
        _refuse(quantized)
    known = {item.name for item in model.graph.input}
    known.update(name for node in model.graph.node for name in node.output)
    found: dict[str, Probe] = {}
    edges = wiring(quantized)
    for node in quantized.graph.node:
        probe = _probe(node, edges, known)
        if probe is not None:
            found.setdefault(probe.tensor, probe)
    inner = set(found) - {item.name for item in (*model.graph.input, *model.graph.output)}
    if not inner:
        _refuse(quantized)
    for output in quantized.graph.output:
        if output.name in known:
            found.setdefault(output.name, Probe(output.name, output.name))
    return tuple(found.values())


def _probe(node: NodeProto, edges: Wiring, known: Collection[str]) -> Probe | None:
    if node.op_type != "QuantizeLinear" or node.input[0] in edges.constants:
        return None
    raw = node.input[0]
    tensor = next((name for name in (raw, raw.removesuffix("_raw")) if name in known), None)
    scale = edges.constant(node.input[1])
    if tensor is None or scale is None or scale.size != 1:
        return None
    zero = edges.constant(node.input[2]) if len(node.input) > 2 else None
    zero = np.zeros((), np.uint8) if zero is None else zero
    limits = np.iinfo(zero.dtype)  # type: ignore[type-var]
    zero_point = limits.min if node.doc_string == SHIFTED else int(zero.item())
    return Probe(tensor, node.output[0], float(scale.item()), zero_point, (limits.min, limits.max))


def _refuse(quantized: ModelProto) -> None:
    ops = {node.op_type for node in quantized.graph.node}
    if "QuantizeLinear" not in ops:
        raise GraphError(
            "the model is not quantized: it has no QuantizeLinear",
            hint="give the INT8 file, and the float file with --against",
        )
    if any(op.startswith("QLinear") for op in ops):
        raise GraphError(
            "the model is written with QLinear operators, whose tensors have other names",
            hint="quantize it in the QDQ format: quant_format=QuantFormat.QDQ",
        )
    raise GraphError(
        "no quantized tensor has the name of a tensor of the float model",
        hint="give the very float file that it was quantized from",
    )


def stretches(model: ModelProto, probes: Collection[Probe]) -> dict[str, Stretch]:
    """For each probe, by tensor, the float nodes that lead to it from the probes before it."""
    edges, at = wiring(model), {probe.tensor for probe in probes}
    return {tensor: Stretch(tuple(_upstream(tensor, edges, at))) for tensor in at}


def _upstream(tensor: str, edges: Wiring, at: Collection[str]) -> Iterator[NodeProto]:
    todo, seen = [tensor], set[str]()
    while todo:
        node = edges.producers.get(todo.pop(0))
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        yield node
        todo.extend(name for name in node.input if name not in at)


def made_name(tensor: str) -> str:
    """What the cut graph calls the value that a stretch makes for a probe."""
    return f"{tensor}{_MADE}"


def cut(
    model: ModelProto, probes: Collection[Probe], *, open_weights: Collection[str] = ()
) -> ModelProto:
    """The float model with every probe as an input, and what leads to it as an output of its own.

    Its inputs are the probes that something reads and the initialisers in `open_weights`, which one
    may then give other values; its outputs `made_name` of those that something makes.
    """
    part, at = _open(model, open_weights), dict.fromkeys(probe.tensor for probe in probes)
    made: list[str] = []
    for node in part.graph.node:
        for index, name in enumerate(node.output):
            if name in at:
                node.output[index] = made_name(name)
                made.append(name)
    read = {name for node in part.graph.node for name in node.input}
    given = [item.name for item in model.graph.input]
    inputs = [name for name in dict.fromkeys((*given, *at)) if name in read]
    part.graph.input.extend(_info(name) for name in inputs)
    part.graph.output.extend(_info(made_name(name)) for name in made)
    drop_unused(part)
    return part


def _open(model: ModelProto, weights: Collection[str]) -> ModelProto:
    """The nodes and constants of a model, some of these as inputs; nothing heavy is copied."""
    part = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = model.graph.name
    part.graph.node.extend(model.graph.node)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            part.graph.input.append(info)
        else:
            part.graph.initializer.append(tensor)
    return part


def _info(name: str) -> object:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


@dataclass(frozen=True, slots=True)
class RoundedLayer:
    """The weights and bias of a layer as the quantized model holds them, as real values.

    `scales` counts the scales of its weight: one for the tensor or one for each channel.
    """

    weight: FloatArray
    bias: FloatArray | None
    scales: int


def rounded_layers(model: ModelProto, quantized: ModelProto) -> dict[str, RoundedLayer]:
    """By name, the layers of a folded float model that are quantized in the other one."""
    return _twins(model, quantized, _real)


def float_layers(model: ModelProto, quantized: ModelProto) -> dict[str, RoundedLayer]:
    """By name, the layers that are float in the other one, too, with the weights of that one."""
    return _twins(model, quantized, _constant)


def _twins(
    model: ModelProto,
    quantized: ModelProto,
    read: Callable[[str, Wiring], tuple[FloatArray, int] | None],
) -> dict[str, RoundedLayer]:
    """The layers of a float model with the weights that `read` finds in the other one."""
    ours, theirs = wiring(model), wiring(quantized)
    nodes = {node.name: node for node in quantized.graph.node}
    by_output = {node.output[0]: node for node in quantized.graph.node}
    found: dict[str, RoundedLayer] = {}
    for node in model.graph.node:
        twin = nodes.get(node.name) or by_output.get(node.output[0])
        if node.op_type not in LAYER_OPS or twin is None or len(twin.input) < 2:
            continue
        weight = read(twin.input[1], theirs)
        if weight is None or weight[0].shape != ours.shape(node.input[1]):
            continue
        bias = read(twin.input[2], theirs) if len(twin.input) > 2 else None
        found[node.name] = RoundedLayer(weight[0], None if bias is None else bias[0], weight[1])
    return found


def _constant(name: str, edges: Wiring) -> tuple[FloatArray, int] | None:
    """A float constant, which has no scale; None for anything else."""
    return (edges.value(name), 0) if name in edges.constants else None


def _real(name: str, edges: Wiring) -> tuple[FloatArray, int] | None:
    """A dequantized constant and the number of its scales; None for anything else."""
    node = edges.producers.get(name)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    integers, scale = edges.constant(node.input[0]), edges.constant(node.input[1])
    if integers is None or scale is None:
        return None
    zero = edges.constant(node.input[2]) if len(node.input) > 2 else None
    shape = [1] * integers.ndim
    if scale.size > 1:
        axis = attribute(node, "axis", 1)
        shape[axis if isinstance(axis, int) else 1] = -1
    # Exact, and for weights no wider than what comes of it: they may be 100 million.
    real: NDArray[Any] = integers.astype(np.float32 if integers.dtype.itemsize == 1 else np.float64)
    if zero is not None:
        real -= zero.astype(real.dtype).reshape(shape)
    real *= scale.astype(np.float32).reshape(shape)
    return np.asarray(real, np.float32), scale.size


def weight_values(
    model: ModelProto, layers: Mapping[str, RoundedLayer]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """By name, the weights and biases of some layers in the float model, and rounded."""
    edges = wiring(model)
    exact: dict[str, FloatArray] = {}
    rounded: dict[str, FloatArray] = {}
    for node in model.graph.node:
        layer = layers.get(node.name)
        if layer is None:
            continue
        values = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        for name, value in zip(node.input[1:], values, strict=False):
            exact[name], rounded[name] = edges.value(name), np.asarray(value, np.float32)
    return exact, rounded
