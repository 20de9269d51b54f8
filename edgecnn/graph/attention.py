"""Where a classifier looks: Grad-CAM on an ONNX file, float or INT8, without a gradient library.

Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391: the last maps with places, each weighed by
what its mean does to the class's score. That derivative is measured: the part of the graph after
the maps is run with one map lifted and lowered a little. Behind a global mean the result is exact
(it is CAM, Zhou et al. 2016, https://arxiv.org/abs/1512.04150). Of an INT8 file, the maps are those
that it really computes; the part behind them has its integer weights and its saturation, but does
not round activations, since a staircase has no slope.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from edgecnn.errors import GraphError
from edgecnn.graph.load import load_onnx
from edgecnn.graph.model_io import infer_shapes, shapes_of
from edgecnn.graph.session import Session
from edgecnn.graph.wiring import FloatArray, Wiring, put_constant, set_nodes, submodel, wiring

_LIFT = 0.02  # of the maps' largest value


@dataclass(frozen=True, slots=True)
class Attention:
    """`heat` (height, width) is 0..1 over the network's input, 1 where the class is seen most.

    All zero where nothing speaks for the class. `logits` (classes,) are the file's answer.
    """

    heat: FloatArray
    logits: FloatArray


class Looker:
    """A classifier cut in two: up to its last maps with places, and from there to its answer.

    Raises GraphError for a graph without such maps.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        model = infer_shapes(load_onnx(path))
        maps = _last_maps(model, path)
        output = model.graph.output[0].name
        self._front = Session(model, [output, maps], threads=threads)
        kinds = {maps: TensorProto.FLOAT}, {output: TensorProto.FLOAT}
        self._tail = Session(_smooth(submodel(model, *kinds)), threads=1)
        self._name = maps

    def look(self, tensor: FloatArray, class_index: int | None = None) -> Attention:
        """Where the network sees a class (by default its answer) in one preprocessed image."""
        logits, maps = self._front.run(tensor)
        scores = np.asarray(logits[0], np.float32).reshape(-1)
        chosen = int(scores.argmax()) if class_index is None else class_index
        values = np.asarray(maps[:1], np.float32)
        slopes = np.array(list(self._slopes(values, chosen)), np.float32)
        heat = np.maximum(np.tensordot(slopes, values[0], axes=1), 0)
        return Attention(np.asarray(heat / (heat.max() or 1.0), np.float32), scores)

    def _slopes(self, maps: FloatArray, chosen: int) -> Iterator[float]:
        """What lifting each map does to the score of the class, a unit at every place."""
        lift = np.float32(_LIFT * (np.abs(maps).max() or 1.0))
        for channel in range(maps.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = maps.copy()
                moved[:, channel] += sign * lift
                (logits,) = self._tail.feed({self._name: moved})
                ends.append(float(np.asarray(logits, np.float64).reshape(-1)[chosen]))
            yield (ends[0] - ends[1]) / (2 * float(lift))


def likeness(one: FloatArray, other: FloatArray) -> float:
    """The correlation of two heats of one shape, -1 to 1; 1 where both are flat."""
    first, second = (heat.ravel() - heat.mean() for heat in (one, other))
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    if norms == 0:
        return 1.0 if np.array_equal(one, other) else 0.0
    return float(first @ second) / norms


def _last_maps(model: ModelProto, path: Path) -> str:
    """The tensor (N, channels, height, width) with places that is nearest to the answer."""
    edges, shapes = wiring(model), shapes_of(model)
    name = model.graph.output[0].name
    while (node := edges.producers.get(name)) is not None:
        name = _main_input(node, edges)
        if name in edges.producers and _has_places(shapes.get(name, ())):
            return str(name)
    raise GraphError(
        f"{path}: has no maps whose places belong to its image",
        hint="attention is for convolutional classifiers exported as (N, C, H, W)",
    )


def _main_input(node: NodeProto, edges: Wiring) -> str:
    """The first input that is computed; a shape or a weight leads to no image."""
    return str(next((name for name in node.input if name not in edges.constants), node.input[0]))


def _has_places(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and (shape[2] or 0) * (shape[3] or 0) > 1


def _smooth(model: ModelProto) -> ModelProto:
    """The graph with each rounding of an activation replaced by its saturation alone."""
    edges = wiring(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        quantizer = (
            edges.producers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        )
        if node.op_type == "QuantizeLinear":
            continue
        if quantizer is None or quantizer.op_type != "QuantizeLinear":
            nodes.append(node)
            continue
        low, high = _limits(quantizer, edges)
        names = [f"{node.output[0]}_low", f"{node.output[0]}_high"]
        put_constant(model, names[0], np.array(low, np.float32))
        put_constant(model, names[1], np.array(high, np.float32))
        nodes.append(helper.make_node("Clip", [quantizer.input[0], *names], [node.output[0]]))
    set_nodes(model, nodes)
    return model


def _limits(quantizer: NodeProto, edges: Wiring) -> tuple[float, float]:
    scale, zero = (edges.constant(name) for name in quantizer.input[1:3])
    assert scale is not None
    assert zero is not None
    kinds: NDArray[np.generic] = zero
    integers = np.iinfo(kinds.dtype)  # type: ignore[type-var]
    point, step = int(kinds.item()), float(scale.item())
    return (integers.min - point) * step, (integers.max - point) * step
