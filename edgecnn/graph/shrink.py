"""Weights as INT8 in a file that is computed in floats: a quarter of the download.

Each large weight becomes INT8 with a scale for each output channel, behind a DequantizeLinear that
engines compute once, when they load the file. What it is computed in does not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto, helper

from edgecnn.errors import GraphError
from edgecnn.graph.fold import channel_axis
from edgecnn.graph.integers import quantize_weight
from edgecnn.graph.load import load_onnx, modernize
from edgecnn.graph.model_io import copied
from edgecnn.graph.parity import Parity, compare
from edgecnn.graph.session import Session
from edgecnn.graph.split import Images
from edgecnn.graph.weights import best_scales
from edgecnn.graph.wiring import Wiring, drop_unused, put_constant, set_nodes, wiring

_LARGEST = 127
_LEAST_ELEMENTS = 1024  # in smaller ones the scales and the node would take what is saved
_WEIGHT = 1  # which input of a layer it is


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A model with INT8 weights, how many layers have them, and how near it is to its source."""

    model: ModelProto
    layers: int
    parity: Parity


def shrink_model(source: Path | ModelProto, images: Images) -> Shrunk:
    """Make INT8 of a float model's weights, and compare it with its source on images.

    Raises FileError, ModelError, GraphError; ParityError where it answers NaN.
    """
    model = modernize(load_onnx(source)) if isinstance(source, Path) else copied(source)
    edges = wiring(model)
    axes = _axes(model, edges)
    if not axes:
        raise GraphError("no layer has float weights that are worth it", hint="send it as it is")
    unpacked = [_packed(model, edges, name, axis) for name, axis in axes.items()]
    layers = sum(not axes.keys().isdisjoint(node.input) for node in model.graph.node)
    set_nodes(model, (*unpacked, *model.graph.node))
    drop_unused(model)
    judges = list(images())
    expected, given = Session(source), Session(model)
    parity = compare(map(expected.run, judges), map(given.run, judges))
    return Shrunk(model, layers, parity)


def _axes(model: ModelProto, edges: Wiring) -> dict[str, int]:
    """The weights to make INT8 of, and the axis of each that counts output channels."""
    found: dict[str, set[int | None]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in edges.constants:
                axis = _axis(node, edges) if index == _WEIGHT else None
                found.setdefault(name, set()).add(axis)
    return {
        name: axis
        for name, (axis, *others) in found.items()
        if axis is not None and not others and _is_large(edges.constants[name])
    }


def _axis(node: NodeProto, edges: Wiring) -> int | None:
    if node.op_type in ("Conv", "Gemm"):
        return channel_axis(node)
    is_matrix = node.op_type == "MatMul" and len(edges.shape(node.input[_WEIGHT])) == 2
    return 1 if is_matrix or node.op_type == "ConvTranspose" else None


def _is_large(tensor: TensorProto) -> bool:
    is_float = tensor.data_type == TensorProto.FLOAT
    return is_float and math.prod(tensor.dims) >= _LEAST_ELEMENTS


def _packed(model: ModelProto, edges: Wiring, name: str, axis: int) -> NodeProto:
    """Put a weight's integers and scales into the model; the node that makes floats of them."""
    weight = edges.value(name)
    scales = best_scales(weight, axis=axis, largest=_LARGEST)
    put_constant(model, f"{name}_int8", quantize_weight(weight, scales, axis, _LARGEST))
    put_constant(model, f"{name}_scale", scales)
    model.graph.initializer.remove(edges.constants[name])
    parts = [f"{name}_int8", f"{name}_scale"]
    return helper.make_node("DequantizeLinear", parts, [name], name=f"{name}_unpacked", axis=axis)
