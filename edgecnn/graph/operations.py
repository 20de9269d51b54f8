"""How large a network is: its parameters, and the multiply-adds of one image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto

from edgecnn.graph.load import load_onnx
from edgecnn.graph.model_io import infer_shapes, shapes_of

_CONVOLUTIONS = {"Conv": 1, "QLinearConv": 3, "ConvInteger": 1}  # which input the weight is
_PRODUCTS = {"Gemm": 1, "MatMul": 1, "QLinearMatMul": 3, "MatMulInteger": 1, "QGemm": 3}
_SCALED = ("QuantizeLinear", "DequantizeLinear")

Shapes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True, slots=True)
class Operations:
    """Parameters, biases included and scales not, and the MACs of one image.

    `macs` is None where shapes are not known; convolutions and matrix products are counted.
    """

    parameters: int
    macs: int | None


def operations(path: Path) -> Operations:
    """Count a file's graph; raises FileError, ModelError or GraphError."""
    return count_operations(load_onnx(path))


def count_operations(model: ModelProto) -> Operations:
    """Count a graph; the model gets the shapes of its tensors."""
    infer_shapes(model)
    shapes = {**shapes_of(model), **_constants(model)}
    counted = [node_macs(node, shapes) for node in model.graph.node]
    known = [macs for macs in counted if macs is not None]
    return Operations(_parameters(model), sum(known) if len(known) == len(counted) else None)


def node_macs(node: NodeProto, shapes: Shapes) -> int | None:
    """The multiply-adds of one node for one image; None where its shapes are open.

    `shapes` are of all tensors, weights included; what is no convolution nor product has none.
    """
    if node.op_type in _CONVOLUTIONS:
        weight = shapes.get(node.input[_CONVOLUTIONS[node.op_type]], ())
        return _product(shapes.get(node.output[0], ())[1:], weight[1:])
    if node.op_type == "ConvTranspose":  # its weights slide over the input
        return _product(shapes.get(node.input[0], ())[2:], shapes.get(node.input[1], ()))
    if node.op_type in _PRODUCTS:
        first = shapes.get(node.input[0], ())
        return _product(shapes.get(node.output[0], ())[1:], first[-1:])
    return 0


def _parameters(model: ModelProto) -> int:
    scales = {
        name for node in model.graph.node if node.op_type in _SCALED for name in node.input[1:]
    }
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in scales and tensor.data_type != TensorProto.INT64  # a shape or axes
    )


def _constants(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    return {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _product(outputs: tuple[int | None, ...], each: tuple[int | None, ...]) -> int | None:
    """Output elements times what each of them adds up."""
    sides = [side for side in (*outputs, *each) if side is not None]
    return math.prod(sides) if outputs and each and len(sides) == len(outputs + each) else None
