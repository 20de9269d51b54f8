"""Who makes which tensor and who reads it, and the small cuts that every pass needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.errors import GraphError

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Wiring:
    """The edges of a graph as they are now; make a new one after changing nodes."""

    producers: Mapping[str, NodeProto]
    consumers: Mapping[str, tuple[NodeProto, ...]]
    outputs: frozenset[str]
    constants: Mapping[str, TensorProto]

    def only_consumer(self, tensor: str) -> NodeProto | None:
        """The node that alone reads a tensor; None where several do or the graph returns it."""
        readers = self.consumers.get(tensor, ())
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def constant(self, tensor: str) -> NDArray[np.generic] | None:
        """The value of an initialiser, None for a tensor that is computed."""
        proto = self.constants.get(tensor)
        return None if proto is None else numpy_helper.to_array(proto)

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The shape of an initialiser, () for a tensor that is computed."""
        proto = self.constants.get(tensor)
        return () if proto is None else tuple(proto.dims)

    def value(self, tensor: str) -> FloatArray:
        """The value of an initialiser as float32; raises GraphError where there is none."""
        array = self.constant(tensor)
        if array is None:
            raise GraphError(f"{tensor}: not a constant", hint="export the model again")
        return array.astype(np.float32)


def wiring(model: ModelProto) -> Wiring:
    """Index a model's graph."""
    consumers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in dict.fromkeys(node.input):
            if name:
                consumers.setdefault(name, []).append(node)
    return Wiring(
        producers={name: node for node in model.graph.node for name in node.output if name},
        consumers={name: tuple(nodes) for name, nodes in consumers.items()},
        outputs=frozenset(output.name for output in model.graph.output),
        constants={tensor.name: tensor for tensor in model.graph.initializer},
    )


def attribute(node: NodeProto, name: str, default: object = None) -> object:
    """The value of a node's attribute."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def number(node: NodeProto, name: str, default: float) -> float:
    """The value of a numeric attribute."""
    value = attribute(node, name, default)
    return float(value) if isinstance(value, (int, float)) else default


def integer_list(node: NodeProto, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
    """The value of a list-of-integers attribute."""
    value = attribute(node, name)
    return tuple(value) if isinstance(value, list) else tuple(default)


def set_attribute(node: NodeProto, name: str, value: object) -> None:
    """Set or replace a node's attribute."""
    drop_attribute(node, name)
    node.attribute.append(helper.make_attribute(name, value))


def drop_attribute(node: NodeProto, name: str) -> None:
    """Take an attribute from a node, if it is there."""
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def named_tensor(name: str, value: NDArray[np.generic]) -> TensorProto:
    """An array as an initialiser."""
    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)


def put_constant(model: ModelProto, name: str, value: NDArray[np.generic]) -> None:
    """Set or replace an initialiser."""
    tensor = named_tensor(name, value)
    for existing in model.graph.initializer:
        if existing.name == name:
            existing.CopyFrom(tensor)
            return
    model.graph.initializer.append(tensor)


def set_nodes(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Replace all nodes; they must come in an order in which they can run."""
    kept = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def bypass(model: ModelProto, node: NodeProto) -> None:
    """Take a node out: who read its first output now reads its first input.

    A graph output keeps its name, so there the producer of the input takes that name over; where
    that cannot be (the input is a graph input or itself an output) the node stays.
    """
    source, target = node.input[0], node.output[0]
    edges = wiring(model)
    if target in edges.outputs:
        if source not in edges.producers or source in edges.outputs:
            return
        source, target = target, source
    # Deleting in place keeps every other NodeProto that a caller holds alive.
    del model.graph.node[[other.name for other in model.graph.node].index(node.name)]
    rename_reads(model, target, source)
    for other in model.graph.node:
        for index, name in enumerate(other.output):
            if name == target:
                other.output[index] = source


def rename_reads(model: ModelProto, old: str, new: str) -> None:
    """Let every reader of tensor `old` read `new`."""
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def drop_unused(model: ModelProto) -> None:
    """Remove the nodes and initialisers that no output needs."""
    needed = {output.name for output in model.graph.output}
    kept: list[NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    set_nodes(model, reversed(kept))
    for index in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[index].name not in needed:
            del model.graph.initializer[index]


def submodel(
    model: ModelProto, inputs: Mapping[str, int], outputs: Mapping[str, int]
) -> ModelProto:
    """The part of a model between some tensors; each comes with its ONNX element type."""
    nodes = _between(model.graph, set(inputs), set(outputs))
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "part",
        [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [tensor for tensor in model.graph.initializer if tensor.name in read],
    )
    return helper.make_model(
        graph, ir_version=model.ir_version, opset_imports=list(model.opset_import)
    )


def _between(
    graph: GraphProto, inputs: Collection[str], outputs: Collection[str]
) -> list[NodeProto]:
    needed, kept = set(outputs), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(name for name in node.input if name not in inputs)
    return kept[::-1]
