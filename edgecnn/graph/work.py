"""What a graph does: its parameters, its products, and the values that it moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onnx import ModelProto, NodeProto, TensorProto

from edgecnn.errors import GraphError
from edgecnn.graph.load import load_onnx
from edgecnn.graph.sizes import Sizes

Kind = Literal["dense", "pointwise", "depthwise", "linear", "other"]

_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "BatchNormalization")
# Op type -> which of its inputs the weights are.
_PRODUCTS = {"Gemm": 1, "MatMul": 1, "QLinearMatMul": 3, "QGemm": 3, "MatMulInteger": 1}
_CONVOLUTIONS = {"Conv": 1, "ConvTranspose": 1, "QLinearConv": 3, "ConvInteger": 1}
_WEIGHTS = _PRODUCTS | _CONVOLUTIONS
_SCALED = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True)
class NodeWork:
    """One node in one run: its multiply-accumulates, and the values of its input, output and
    parameters.
    """

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
    """The layers of a file in one run, whose batch is one image where it is open.

    Activations, sums and joins are left out: engines do them on the way out of a layer. Raises what
    loading the file raises, GraphError where shapes are open.
    """
    model = load_onnx(path)
    return tuple(_layers(model, Sizes(model), path))


def node_macs(node: NodeProto, sizes: Sizes) -> int | None:
    """The multiply-adds of one node in one run; None where its shapes are open.

    What is no convolution nor matrix product has none.
    """
    if node.op_type not in _WEIGHTS:
        return 0
    source, weight, output = (sizes.shape(name) for name in _names(node))
    if source is None or weight is None or output is None:
        return None
    return _macs(node, source, weight, output)


def size_of(path: Path) -> Size:
    """How large a file's network is, in floats or in integers; raises FileError, ModelError."""
    model = load_onnx(path)
    try:
        sizes = Sizes(model)
        macs = sum(work.macs for work in _layers(model, sizes, path))
        images, *_ = _shape(sizes, model.graph.input[0].name, path)
    except GraphError:
        return Size(_parameters(model), None)
    return Size(_parameters(model), macs // images)


def _layers(model: ModelProto, sizes: Sizes, path: Path) -> Iterator[NodeWork]:
    for node in model.graph.node:
        if node.op_type in _WEIGHTS or node.op_type in _POOLS:
            yield _work(node, *(_shape(sizes, name, path) for name in _names(node)))


def _names(node: NodeProto) -> tuple[str, str, str]:
    """What a layer reads, its weights (a pool has none: what it reads) and what it makes."""
    return node.input[0], node.input[_WEIGHTS.get(node.op_type, 0)], node.output[0]


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
        return math.prod(output) * source[-1]
    # The weights slide over the output; those of a transposed convolution over the input.
    images, _, *places = source if node.op_type == "ConvTranspose" else output
    return images * math.prod(weight) * math.prod(places)


def _kind(node: NodeProto, weight: tuple[int, ...]) -> Kind:
    if node.op_type in _PRODUCTS:
        return "linear"
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    if groups > 1 and weight[1] == 1:
        return "depthwise"
    return "pointwise" if math.prod(weight[2:]) == 1 else "dense"


def _shape(sizes: Sizes, name: str, path: Path) -> tuple[int, ...]:
    shape = sizes.shape(name)
    if shape is None:
        raise GraphError(
            f"{path}: the shape of {name} is not known", hint="export it with a fixed input size"
        )
    return shape


def _parameters(model: ModelProto) -> int:
    scales = {
        name for node in model.graph.node if node.op_type in _SCALED for name in node.input[1:]
    }
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in scales and tensor.data_type != TensorProto.INT64  # a shape or axes
    )
