"""The nodes of an ONNX file by name, read without the `onnx` package.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecnn.protobuf import decode, fields, mapped

_MODEL_GRAPH, _GRAPH_NODE = 7, 1
_INPUT, _OUTPUT, _NAME, _KIND = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node: its operator, what it reads and what it makes."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_nodes(path: Path) -> tuple[GraphNode, ...]:
    """The nodes of a file's graph in file order; raises FileError, MalformedError."""
    return tuple(
        _node(item.payload)
        for graph in fields(mapped(path))
        if graph.number == _MODEL_GRAPH
        for item in fields(graph.payload)
        if item.number == _GRAPH_NODE
    )


def _node(data: memoryview) -> GraphNode:
    found: dict[int, list[str]] = {_INPUT: [], _OUTPUT: [], _NAME: [""], _KIND: [""]}
    for field in fields(data):
        if field.number in found:
            found[field.number].append(decode(field.payload))
    return GraphNode(
        found[_NAME][-1], found[_KIND][-1], tuple(found[_INPUT]), tuple(found[_OUTPUT])
    )
