"""What a graph does for one image: its parameters, its products, and the values that it moves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onnx import ModelProto, NodeProto, TensorProto

from edgecnn.errors import GraphError
from edgecnn.graph.load import load_onnx
from edgecnn.graph.model_io import Shape, infer_shapes, shapes_of

Kind = Literal["dense", "pointwise", "depthwise", "linear", "other"]

_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "BatchNormalization")
# Op type -> which of its inputs the weights are.
_PRODUCTS = {"Gemm": 1, "MatMul": 1, "QLinearMatMul": 3, "QGemm": 3, "MatMulInteger": 1}
_CONVOLUTIONS = {"Conv": 1, "ConvTranspose": 1, "QLinearConv": 3, "ConvInteger": 1}
_WEIGHTS = _PRODUCTS | _CONVOLUTIONS
_SCALED = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True)
class NodeWork:
    """One node: its multiply-accumulates, and the values of its input, output and parameters."""

    kind: Kind
    macs: int
    values: int


@dataclass(frozen=True, slots=True)
class Size:
    """Parameters, biases included and scales not, and the MACs of one image.

    Convolutions and matrix products are counted; `macs` is None where shapes are not known.
    """

    parameters: int
    macs: int | None


def work_of(path: Path) -> tuple[NodeWork, ...]:
    """The layers of a file; raises what loading it raises, GraphError where shapes are open.

    Activations, sums and joins are left out: engines do them on the way out of a layer.
    """
    return _works(load_onnx(path), path)


def node_macs(node: NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    """The multiply-adds of one node for one image; None where its shapes are open.

    `shapes` are of all tensors, weights included; what is no convolution nor product has none.
    """
    if node.op_type not in _WEIGHTS:
        return 0
    names = (node.input[0], node.input[_WEIGHTS[node.op_type]], node.output[0])
    source, weight, output = (_known(shapes.get(name)) for name in names)
    if source is None or weight is None or output is None:
        return None
    return _macs(node, source, weight, output)


def size_of(path: Path) -> Size:
    """How large a file's network is, in floats or in integers; raises FileError, ModelError."""
    model = load_onnx(path)
    try:
        macs = sum(work.macs for work in _works(model, path))
    except GraphError:
        return Size(_parameters(model), None)
    return Size(_parameters(model), macs)


def _works(model: ModelProto, path: Path) -> tuple[NodeWork, ...]:
    model = infer_shapes(model)
    shapes = shapes_of(model) | {
        tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer
    }
    return tuple(_layers(model, shapes, path))


def _layers(model: ModelProto, shapes: Mapping[str, Shape], path: Path) -> Iterator[NodeWork]:
    for node in model.graph.node:
        if node.op_type in _WEIGHTS or node.op_type in _POOLS:
            weight = node.input[_WEIGHTS.get(node.op_type, 0)]
            names = (node.input[0], weight, node.output[0])
            yield _work(node, *(_sizes(shapes, name, path) for name in names))


def _work(
    node: NodeProto, source: tuple[int, ...], weight: tuple[int, ...], output: tuple[int, ...]
) -> NodeWork:
    moved = math.prod(source) + math.prod(output)
    if node.op_type in _POOLS:
        return NodeWork("other", 0, moved)
    macs = _macs(node, source, weight, output)
    return NodeWork(_kind(node, weight), macs, moved + math.prod(weight))


def _macs(
    node: NodeProto, source: tuple[int, ...], weight: tuple[int, ...], output: tuple[int, ...]
) -> int:
    if node.op_type in _PRODUCTS:
        return math.prod(output[1:]) * source[-1]
    # The weights slide over the output; those of a transposed convolution over the input.
    places = (source if node.op_type == "ConvTranspose" else output)[2:]
    return math.prod(weight) * math.prod(places)


def _kind(node: NodeProto, weight: tuple[int, ...]) -> Kind:
    if node.op_type in _PRODUCTS:
        return "linear"
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    if groups > 1 and weight[1] == 1:
        return "depthwise"
    return "pointwise" if math.prod(weight[2:]) == 1 else "dense"


def _sizes(shapes: Mapping[str, Shape], name: str, path: Path) -> tuple[int, ...]:
    sizes = _known(shapes.get(name))
    if sizes is None:
        raise GraphError(
            f"{path}: the shape of {name} is not known", hint="export it with a fixed input size"
        )
    return sizes


def _known(shape: Shape | None) -> tuple[int, ...] | None:
    """A tensor's shape, an open batch as one image; None where another side is open."""
    first, *rest = shape or (None, None)
    if any(size is None for size in rest):
        return None
    return (1 if first is None else first, *(size for size in rest if size is not None))


def _parameters(model: ModelProto) -> int:
    scales = {
        name for node in model.graph.node if node.op_type in _SCALED for name in node.input[1:]
    }
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in scales and tensor.data_type != TensorProto.INT64  # a shape or axes
    )
