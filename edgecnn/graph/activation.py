"""What an activation function bounds its output to."""

from __future__ import annotations

from collections.abc import Collection

from onnx import NodeProto

from edgecnn.graph.wiring import Wiring

Limits = tuple[float, float]

FUNCTIONS = ("Relu", "Clip")


def bounds(node: NodeProto, edges: Wiring) -> Limits:
    """What a Relu or Clip bounds its output to; infinite where that is not constant."""
    if node.op_type == "Relu":
        return 0.0, float("inf")
    low, high = float("-inf"), float("inf")
    names = [*node.input[1:], "", ""]
    if names[0] in edges.constants:
        low = edges.value(names[0]).item()
    if names[1]:
        if names[1] not in edges.constants:
            return float("-inf"), float("inf")
        high = edges.value(names[1]).item()
    return low, high


def bounds_of(tensor: str, edges: Wiring) -> Limits | None:
    """The bounds of the activation function that makes a tensor, None where none does."""
    producer = edges.producers.get(tensor)
    if producer is None or producer.op_type not in FUNCTIONS:
        return None
    return bounds(producer, edges)


def bounds_behind(tensor: str, edges: Wiring, *, carried: Collection[str]) -> Limits | None:
    """The bounds of values that were moved, selected or joined since; None where they differ.

    `carried` are the op types that only move or select values.
    """
    producer = edges.producers.get(tensor)
    if producer is not None and producer.op_type in carried:
        return bounds_behind(producer.input[0], edges, carried=carried)
    if producer is not None and producer.op_type == "Concat":
        found = {bounds_behind(name, edges, carried=carried) for name in producer.input}
        return found.pop() if len(found) == 1 else None
    return bounds_of(tensor, edges)
