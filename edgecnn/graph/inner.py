"""The inner activations of a quantized graph that tell whether its ranges still fit a camera."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto

from edgecnn.graph.shift import SHIFTED
from edgecnn.graph.wiring import Wiring, wiring
from edgecnn.runtime.ranges import Inner

_COUNT = 4


def inner_activations(model: ModelProto) -> tuple[Inner, ...]:
    """Up to four tensors of 8-bit integers between the layers, evenly from the first to the last.

    Neither what goes in nor what comes out: those are looked at without them.
    """
    edges = wiring(model)
    found = [inner for node in model.graph.node if (inner := _inner(node, edges)) is not None]
    places = np.linspace(0, len(found) - 1, min(_COUNT, len(found))).round().astype(int)
    return tuple(found[place] for place in places)


def _inner(node: NodeProto, edges: Wiring) -> Inner | None:
    if node.op_type != "QuantizeLinear" or node.input[0] not in edges.producers:
        return None
    zero = edges.constant(node.input[2]) if len(node.input) > 2 else np.zeros((), np.uint8)
    if zero is None or zero.size != 1 or zero.dtype not in (np.uint8, np.int8):
        return None
    if not edges.outputs.isdisjoint(_reached(node, edges)):
        return None
    lowest = 0 if zero.dtype == np.uint8 else -128
    return Inner(node.output[0], bool(zero.item() == lowest or node.doc_string == SHIFTED))


def _reached(node: NodeProto, edges: Wiring) -> set[str]:
    """Its integers, and what they stand for."""
    readers = edges.consumers.get(node.output[0], ())
    return {node.output[0], *(name for reader in readers for name in reader.output)}
