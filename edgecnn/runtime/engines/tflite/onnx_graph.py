"""A whole ONNX graph with attributes and constants, read without the `onnx` package.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import TensorSpec
from edgecnn.errors import ModelError
from edgecnn.onnxfile import read_header
from edgecnn.onnxheader import Header
from edgecnn.protobuf import Field, MalformedError, by_number, decode, fields, integers, mapped

Array = NDArray[Any]

_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER = 7, 1, 5
_INPUT, _OUTPUT, _NAME, _OP, _ATTRIBUTE = 1, 2, 3, 4, 5
_A_NAME, _A_FLOAT, _A_INT, _A_TEXT, _A_TENSOR, _A_FLOATS, _A_INTS = 1, 2, 3, 4, 5, 7, 8
_T_DIMS, _T_DTYPE, _T_NAME, _T_RAW, _T_EXTERNAL = 1, 2, 8, 9, 13
_T_FLOATS, _T_INTS, _T_LONGS = 4, 5, 7
_DTYPES = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2",
    11: "<f8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """A node; an attribute is a number, bytes, a tuple of numbers or an array."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """How people find it in the file."""
        return f"{self.op} {self.name or self.outputs[0]!r}"

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A list of integers, or the default where it is not said."""
        return tuple(self.attributes.get(name, default))


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes in the order in which they run, and all that is constant, by name."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    header: Header

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The graph's inputs."""
        return self.header.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The graph's outputs."""
        return self.header.outputs


def read_graph(path: Path) -> Graph:
    """Read a file whole; raises FileError, and ModelError where it is no ONNX file."""
    header = read_header(path)  # which has also looked at the places of external weights
    nodes: list[Node] = []
    constants: dict[str, Array] = {}
    try:
        for item in _graph_items(mapped(path)):
            if item.number == _GRAPH_NODE:
                node = _node(item.payload, path)
                if node.op == "Constant" and len(node.attributes) == 1:
                    constants[node.outputs[0]] = _constant(node)
                else:
                    nodes.append(node)
            elif item.number == _GRAPH_INITIALIZER:
                name, array = _tensor(item.payload, path)
                constants[name] = array
    except (MalformedError, UnicodeDecodeError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"{path}: {error}", hint="copy or export the file again") from error
    return Graph(tuple(nodes), constants, header)


def _graph_items(model: memoryview) -> Iterator[Field]:
    for item in fields(model):
        if item.number == _MODEL_GRAPH:
            yield from fields(item.payload)


def _constant(node: Node) -> Array:
    (value,) = node.attributes.values()
    return value if isinstance(value, np.ndarray) else np.asarray(value)


def _node(data: memoryview, path: Path) -> Node:
    texts: dict[int, list[str]] = {_INPUT: [], _OUTPUT: [], _NAME: [""], _OP: [""]}
    attributes: dict[str, Any] = {}
    for item in fields(data):
        if item.number in texts:
            texts[item.number].append(decode(item.payload))
        elif item.number == _ATTRIBUTE:
            attributes.update([_attribute(item.payload, path)])
    inputs, outputs = tuple(texts[_INPUT]), tuple(texts[_OUTPUT])
    return Node(texts[_OP][-1], texts[_NAME][-1], inputs, outputs, attributes)


def _attribute(data: memoryview, path: Path) -> tuple[str, Any]:
    name = decode(by_number(data)[_A_NAME])
    value: Any = ()
    for item in fields(data):
        if item.number == _A_FLOAT:
            value = struct.unpack("<f", item.payload)[0]
        elif item.number == _A_INT:
            value = _signed(item.value)
        elif item.number == _A_TEXT:
            value = bytes(item.payload)
        elif item.number == _A_TENSOR:
            value = _tensor(item.payload, path)[1]
        elif item.number == _A_FLOATS:
            value = (*value, *np.frombuffer(item.payload, "<f4").tolist())
        elif item.number == _A_INTS:
            value = (*value, *map(_signed, integers(item)))
    return name, value


def _tensor(data: memoryview, path: Path) -> tuple[str, Array]:
    found = by_number(data)
    dims = [size for item in fields(data) if item.number == _T_DIMS for size in integers(item)]
    dtype = next(item.value for item in fields(data) if item.number == _T_DTYPE)
    name = decode(found.get(_T_NAME, data[0:0]))
    if dtype not in _DTYPES:
        raise ValueError(f"tensor {name[:60]!r} has a type that is not read here ({dtype})")
    if _T_EXTERNAL in found:
        values = _external(data, path, np.dtype(_DTYPES[dtype]), count=int(np.prod(dims)))
    elif _T_RAW in found:
        values = np.frombuffer(found[_T_RAW], _DTYPES[dtype])
    else:
        values = _listed(data, dtype)
    return name, values.reshape(dims)


def _listed(data: memoryview, dtype: int) -> Array:
    """Values in the fields for their type; halves are there as bits."""
    floats = [item.payload for item in fields(data) if item.number == _T_FLOATS]
    if floats:
        return np.frombuffer(b"".join(map(bytes, floats)), "<f4")
    numbers = [
        _signed(value)
        for item in fields(data)
        if item.number in (_T_INTS, _T_LONGS)
        for value in integers(item)
    ]
    if _DTYPES[dtype] == "<f2":
        return np.array(numbers, np.uint16).view(np.float16)
    return np.array(numbers, _DTYPES[dtype])


def _external(data: memoryview, path: Path, dtype: np.dtype[Any], *, count: int) -> Array:
    entries = {}
    for item in fields(data):
        if item.number == _T_EXTERNAL:
            entry = by_number(item.payload)
            entries[decode(entry[1])] = decode(entry[2])
    offset = int(entries.get("offset", "0"))
    return np.fromfile(path.parent / entries["location"], dtype, count=count, offset=offset)


def _signed(value: int) -> int:
    """A varint as the int64 that it stands for."""
    return value - (1 << 64) if value >> 63 else value
