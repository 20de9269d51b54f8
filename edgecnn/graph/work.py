"""What a graph's layers do for one image: products, and the values that they move."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onnx import ModelProto, NodeProto

from edgecnn.errors import GraphError
from edgecnn.graph.load import load_onnx
from edgecnn.graph.model_io import infer_shapes, shapes_of

Kind = Literal["dense", "pointwise", "depthwise", "linear", "other"]
Shape = tuple[int | None, ...]

_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "BatchNormalization")
_PRODUCTS = ("Gemm", "MatMul")
_CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True, slots=True)
class LayerWork:
    """One layer: its multiply-accumulates, and the values of its input, output and parameters."""

    kind: Kind
    macs: int
    values: int


def work_of(path: Path) -> tuple[LayerWork, ...]:
    """The layers of a file; raises what loading it raises, GraphError where shapes are open.

    Activations, sums and joins are left out: engines do them on the way out of a layer.
    """
    model = infer_shapes(load_onnx(path))
    return tuple(_works(model, path))


def _works(model: ModelProto, path: Path) -> Iterator[LayerWork]:
    shapes = shapes_of(model) | {
        tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer
    }
    for node in model.graph.node:
        if node.op_type in (*_CONVOLUTIONS, *_PRODUCTS, *_POOLS):
            sizes = [_sizes(shapes, name, path) for name in (*node.input[:2], node.output[0])]
            yield _work(node, sizes[0], sizes[-2], sizes[-1])


def _work(
    node: NodeProto, source: tuple[int, ...], weight: tuple[int, ...], output: tuple[int, ...]
) -> LayerWork:
    if node.op_type in _POOLS:
        return LayerWork("other", 0, math.prod(source) + math.prod(output))
    values = math.prod(source) + math.prod(weight) + math.prod(output)
    if node.op_type in _PRODUCTS:
        return LayerWork("linear", math.prod(weight) * math.prod(output[:-1]), values)
    # The weights slide over the output; those of a transposed convolution over the input.
    places = (source if node.op_type == "ConvTranspose" else output)[2:]
    return LayerWork(_kind(node, weight), math.prod(weight) * math.prod(places), values)


def _kind(node: NodeProto, weight: tuple[int, ...]) -> Kind:
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    if groups > 1 and weight[1] == 1:
        return "depthwise"
    return "pointwise" if math.prod(weight[2:]) == 1 else "dense"


def _sizes(shapes: Mapping[str, Shape], name: str, path: Path) -> tuple[int, ...]:
    """A tensor's shape; an open batch counts as one image."""
    first, *rest = shapes.get(name, (None, None))
    if any(size is None for size in rest):
        raise GraphError(
            f"{path}: the shape of {name} is not known", hint="export it with a fixed input size"
        )
    return (1 if first is None else first, *(size for size in rest if size is not None))
