"""The walk through an ONNX file that tells its head: what goes in, what comes out, what it holds.

An ONNX file is one protobuf message (https://protobuf.dev/programming-guides/encoding): fields of
(number, wire type, payload). Walking it takes a page of code, needs no `onnx` package, skips over
the weights instead of loading them, and can refuse a hostile file before any engine opens it.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgecnn.contract import Dimension, TensorSpec
from edgecnn.errors import ModelError
from edgecnn.external import external_file
from edgecnn.protobuf import MalformedError, by_number, decode, fields, integers

MAX_TENSOR_BYTES = 8 << 30
_MAX_DEPTH = 8

# TensorProto.DataType -> NumPy's name and the size of an element in bytes.
_DTYPES = {
    1: ("float32", 4), 2: ("uint8", 1), 3: ("int8", 1), 4: ("uint16", 2), 5: ("int16", 2),
    6: ("int32", 4), 7: ("int64", 8), 8: ("string", 0), 9: ("bool", 1), 10: ("float16", 2),
    11: ("float64", 8), 12: ("uint32", 4), 13: ("uint64", 8), 16: ("bfloat16", 2),
}  # fmt: skip

_DAMAGED = "copy or export the file again"

_MODEL_IR, MODEL_GRAPH, _MODEL_OPSET, MODEL_METADATA = 1, 7, 8, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
VALUE_NAME, _VALUE_TYPE = 1, 2
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_TENSOR_DIMS, _TENSOR_DTYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL = 1, 2, 8, 9, 13
_TENSOR_LOCATION, _EXTERNAL = 14, 1  # and the value that means a file of its own
_FLOAT16 = 10
_SCALED_OPS, _SCALE = ("QuantizeLinear", "DequantizeLinear"), 1  # and which input the scale is
_INTEGER_OPS = ("QuantizeLinear", "QLinearConv", "DynamicQuantizeLinear")
_UNPACKING_OP = "DequantizeLinear"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands at the top of an ONNX file, without its weights.

    `quantized` says that there is INT8 in it, `weights_only` that only weights are, `half_scales`
    that some of its scales are float16.
    """

    ir_version: int
    opset: int
    metadata: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    quantized: bool
    external: tuple[str, ...] = ()
    half_scales: bool = False
    weights_only: bool = False

    @property
    def computes_integers(self) -> bool:
        """Whether layers are computed in INT8."""
        return self.quantized and not self.weights_only


def header_of(data: memoryview, path: Path) -> Header:
    """Walk a whole file's bytes.

    Raises MalformedError and UnicodeDecodeError where they are no whole ONNX file, FileError and
    ModelError for weights outside its own folder and tensors that it cannot hold.
    """
    ir_version = opset = 0
    metadata: dict[str, str] = {}
    graph: memoryview | None = None
    for field in fields(data):
        if field.number == _MODEL_IR:
            ir_version = field.value
        elif field.number == MODEL_GRAPH:
            graph = field.payload
        elif field.number == _MODEL_OPSET:
            opset = _opset(field.payload) or opset
        elif field.number == MODEL_METADATA:
            key, text = key_value(field.payload)
            metadata[key] = text
    if graph is None or not 1 <= ir_version < 1000 or not opset:
        raise MalformedError("no graph, version or opset in it")
    return _Walker(path).header(ir_version, opset, metadata, graph)


def _opset(data: memoryview) -> int:
    """The version of the standard operators, 0 for those of other domains."""
    domain, version = "", 0
    for field in fields(data):
        if field.number == 1:
            domain = decode(field.payload)
        elif field.number == 2:
            version = field.value
    return version if domain in ("", "ai.onnx") else 0


def key_value(data: memoryview) -> tuple[str, str]:
    """The key and the text of a StringStringEntryProto."""
    found = by_number(data)
    empty = data[0:0]
    return decode(found.get(1, empty)), decode(found.get(2, empty))


class _Walker:
    """Walks a graph and refuses tensors that lie elsewhere or that cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._quantized = self._unpacks = False
        self._external: set[str] = set()
        self._scales: set[str] = set()
        self._half: set[str] = set()
        self._halves = 0

    def header(
        self, ir_version: int, opset: int, metadata: dict[str, str], graph: memoryview
    ) -> Header:
        inputs, outputs = self._graph(graph, depth=0)
        external = tuple(sorted(self._external))
        return Header(
            ir_version,
            opset,
            metadata,
            inputs,
            outputs,
            self._quantized or self._unpacks,
            external,
            half_scales=not self._scales.isdisjoint(self._half),
            weights_only=self._unpacks and not self._quantized,
        )

    def _graph(
        self, data: memoryview, *, depth: int
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        if depth > _MAX_DEPTH:
            raise MalformedError("graphs nested too deep")
        inputs, outputs, weights = [], [], set()
        for field in fields(data):
            if field.number == _GRAPH_NODE:
                self._node(field.payload, depth=depth)
            elif field.number == _GRAPH_INITIALIZER:
                weights.add(self._tensor(field.payload))
            elif field.number == _GRAPH_INPUT:
                inputs.append(self._value_info(field.payload))
            elif field.number == GRAPH_OUTPUT:
                outputs.append(self._value_info(field.payload))
        # Old exporters list the weights among the inputs.
        return tuple(spec for spec in inputs if spec.name not in weights), tuple(outputs)

    def _node(self, data: memoryview, *, depth: int) -> None:
        op, inputs, outputs, halves = "", [], [], self._halves
        for field in fields(data):
            if field.number == _NODE_OP:
                op = decode(field.payload)
            elif field.number == _NODE_INPUT:
                inputs.append(decode(field.payload))
            elif field.number == _NODE_OUTPUT:
                outputs.append(decode(field.payload))
            elif field.number == _NODE_ATTRIBUTE:
                self._attribute(field.payload, depth=depth)
        self._quantized |= op in _INTEGER_OPS
        self._unpacks |= op == _UNPACKING_OP
        if op in _SCALED_OPS:
            self._scales.update(inputs[_SCALE : _SCALE + 1])
        elif op == "Constant" and self._halves > halves:  # its tensor has no name of its own
            self._half.update(outputs)

    def _attribute(self, data: memoryview, *, depth: int) -> None:
        for field in fields(data):
            if field.number in _ATTRIBUTE_TENSORS:
                self._tensor(field.payload)
            elif field.number in _ATTRIBUTE_GRAPHS and len(field.payload):
                self._graph(field.payload, depth=depth + 1)

    def _tensor(self, data: memoryview) -> str:
        dims: list[int] = []
        external: dict[str, str] = {}
        name, dtype, raw_bytes = "", 0, None
        for field in fields(data):
            if field.number == _TENSOR_DIMS:
                dims.extend(integers(field))
            elif field.number == _TENSOR_DTYPE:
                dtype = field.value
            elif field.number == _TENSOR_NAME:
                name = decode(field.payload)
            elif field.number == _TENSOR_RAW:
                raw_bytes = len(field.payload)
            elif field.number == _TENSOR_EXTERNAL:
                external.update([key_value(field.payload)])
            elif field.number == _TENSOR_LOCATION and field.value == _EXTERNAL:
                external.setdefault("location", "")
        self._note(name, dtype)
        claimed = self._check_size(name, math.prod(dims), dtype, raw_bytes)
        self._note_external(name, external, claimed)
        return name

    def _note_external(self, name: str, entries: dict[str, str], claimed: int | None) -> None:
        if entries:
            self._external.add(external_file(self._path, name, entries, claimed_bytes=claimed))

    def _note(self, name: str, dtype: int) -> None:
        if dtype == _FLOAT16:
            self._half.add(name)
            self._halves += 1

    def _check_size(
        self, name: str, elements: int, dtype: int, raw_bytes: int | None
    ) -> int | None:
        """The bytes that a tensor claims to have, None for types whose size is not known."""
        _, element_bytes = _DTYPES.get(dtype, ("", 0))
        claimed = elements * max(element_bytes, 1)
        if claimed > MAX_TENSOR_BYTES:
            raise ModelError(
                f"{self._path}: tensor {name[:60]!r} claims {claimed} bytes", hint=_DAMAGED
            )
        if raw_bytes and element_bytes and raw_bytes != claimed:
            raise ModelError(
                f"{self._path}: tensor {name[:60]!r} claims {claimed} bytes, holds {raw_bytes}",
                hint=_DAMAGED,
            )
        return claimed if element_bytes else None

    def _value_info(self, data: memoryview) -> TensorSpec:
        found = by_number(data)
        name = decode(found.get(VALUE_NAME, data[0:0]))
        dtype, shape = _tensor_type(by_number(found.get(_VALUE_TYPE, data[0:0])).get(1, data[0:0]))
        sizes = [size for size in shape if isinstance(size, int)]
        if math.prod(sizes) * 8 > MAX_TENSOR_BYTES:
            raise ModelError(
                f"{self._path}: {name[:60]!r} has the impossible shape {shape}", hint=_DAMAGED
            )
        return TensorSpec(name, _DTYPES.get(dtype, ("unknown", 0))[0], shape)


def _tensor_type(data: memoryview) -> tuple[int, tuple[Dimension, ...]]:
    dtype, shape = 0, data[0:0]
    for field in fields(data):
        if field.number == 1:
            dtype = field.value
        elif field.number == 2:
            shape = field.payload
    return dtype, tuple(_dimension(item.payload) for item in fields(shape) if item.number == 1)


def _dimension(data: memoryview) -> Dimension:
    for field in fields(data):
        if field.number == 1 and field.value < 1 << 63:
            return field.value
        if field.number == 2:
            return decode(field.payload) or "?"
    return "?"
