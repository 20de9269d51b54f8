"""Which nodes of a file an engine's layer came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx import ModelProto, NodeProto

from edgecnn.graph.plan import LAYER_OPS
from edgecnn.graph.wiring import wiring

_SCALING = ("QuantizeLinear", "DequantizeLinear")


def origins(model: ModelProto, names: Sequence[Sequence[str]]) -> tuple[tuple[NodeProto, ...], ...]:
    """For each layer the nodes that became it, those with weights first; () where none is known.

    `names` are each layer's: of nodes of the file or of tensors. A layer that is known by a tensor
    also stands for the layers with weights that lead to it, up to what other layers make.
    """
    edges = wiring(model)
    nodes = {node.name: node for node in model.graph.node if node.name}
    named = [
        [node for name in each if (node := nodes.get(name) or edges.producers.get(name))]
        for each in names
    ]
    claimed = {tensor for found in named for node in found for tensor in node.output}

    def upstream(found: Sequence[NodeProto]) -> Iterator[NodeProto]:
        own = {tensor for node in found for tensor in node.output}
        todo, seen = list(found), set[int]()
        while todo:
            node = todo.pop(0)
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            if node.op_type in LAYER_OPS:
                continue  # what it reads is another layer's
            todo += [
                edges.producers[name]
                for name in node.input
                if name in edges.producers and (name not in claimed or name in own)
            ]

    return tuple(tuple(_ordered(upstream(found), found)) for found in named)


def _ordered(nodes: Iterator[NodeProto], named: Sequence[NodeProto]) -> list[NodeProto]:
    """Layers with weights, then the others that were named; what a lone Q or DQ has swallowed."""
    layers, others, swallowed = [], [], []
    for node in nodes:
        if node.op_type in LAYER_OPS:
            layers.append(node)
        elif any(node is other for other in named):
            others.append(node)
        else:
            swallowed.append(node)
    plain = [node for node in others if node.op_type not in _SCALING]
    if layers or plain:
        return [*layers, *plain]
    return [node for node in swallowed if node.op_type not in _SCALING] or others
