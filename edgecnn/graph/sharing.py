"""Which tensors have one scale: those that are only moved, and those that are joined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from onnx import NodeProto

from edgecnn.graph.activation import Limits, bounds_of
from edgecnn.graph.wiring import Wiring


def find_shared(
    nodes: Iterable[NodeProto],
    *,
    carried: Collection[str],
    joined: Callable[[NodeProto], Iterable[str]],
) -> dict[str, str]:
    """Tensor -> the tensor whose scale it has.

    `carried` are the op types that only move values; `joined` gives the inputs of a Concat that
    have the scale of its output, which holds all their values and so stands for them.
    """
    shared: dict[str, str] = {}
    for node in nodes:
        if node.op_type in carried:
            shared.update((name, _root(node.input[0], shared)) for name in node.output)
        elif node.op_type == "Concat":
            for name in joined(node):
                root = _root(name, shared)
                if root != node.output[0]:
                    shared[root] = node.output[0]
    return {name: _root(name, shared) for name in shared}


def unevenly_bounded(shared: Mapping[str, str], edges: Wiring) -> frozenset[str]:
    """Tensors that have the scale of others with other bounds: its saturation is no Clip."""
    limits: dict[str, set[Limits]] = {}
    for name in {*shared, *shared.values()}:
        if (found := bounds_of(name, edges)) is not None:
            limits.setdefault(shared.get(name, name), set()).add(found)
    return frozenset(name for name, root in shared.items() if len(limits.get(root, ())) > 1)


def _root(name: str, shared: Mapping[str, str]) -> str:
    while name in shared:
        name = shared[name]
    return name
