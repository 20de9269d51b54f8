"""The engine's layers joined to the nodes of the file: what each of them has to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors import FileError, ModelError
from edgecnn.graph.layer_work import LayerWork, work_of_layers
from edgecnn.graph.load import load_onnx
from edgecnn.graph.origins import origins
from edgecnn.profiling.layers import TimedLayer, TimedLayers
from edgecnn.runtime.engines.base import is_reformat

if TYPE_CHECKING:
    from onnx import NodeProto

_BYTES = {"int8": 1, "fp16": 2, "bf16": 2, "fp32": 4}


def joined(found: TimedLayers, file: Path, *, batch: int) -> TimedLayers:
    """The layers with the nodes of the file that they came from, and their work in one run.

    `batch` is how many images a run takes. A file whose graph cannot be read gives no work: the
    engine that ran it has seen more in it than we can count.
    """
    try:
        graph = load_onnx(file)
        named = origins(graph, [layer.nodes for layer in found.layers])
        nodes = tuple(_own(*pair) for pair in zip(found.layers, named, strict=True))
        works = work_of_layers(graph, nodes, batch=batch)
    except (ModelError, FileError):
        return found
    rows = zip(found.layers, nodes, works, strict=True)
    layers = tuple(
        _with_work(layer, tuple(node.name or node.output[0] for node in own), work)
        for layer, own, work in rows
    )
    return dataclasses.replace(found, layers=layers)


def _own(layer: TimedLayer, nodes: tuple[NodeProto, ...]) -> tuple[NodeProto, ...]:
    """What it does itself: a change of layout bears the name of what it changes."""
    is_other = is_reformat(layer.kind) and all(node.op_type != layer.kind for node in nodes)
    return () if is_other else nodes


def _with_work(layer: TimedLayer, nodes: tuple[str, ...], work: LayerWork) -> TimedLayer:
    each = _BYTES.get(layer.precision)
    moved = None if each is None or work.values is None else work.values * each
    return dataclasses.replace(layer, nodes=nodes, macs=work.macs, moved_bytes=moved)
