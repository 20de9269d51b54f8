"""The first convolution of MobileNets and EfficientNets: where it is faster in float."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import ModelProto, NodeProto

from edgecnn.graph.activation import FUNCTIONS, bounds
from edgecnn.graph.targets import Target
from edgecnn.graph.wiring import Wiring, integer_list, wiring

FASTER_SO = "a first layer is faster so"
"""Why it is in float, as it is told."""

_CHANNELS = 4  # of an image
_OUTPUTS = 32


def is_float_stem(node: NodeProto, edges: Wiring, target: Target) -> bool:
    """Whether a node is a narrow Conv with constant weights that halves an image it alone reads.

    For its integer product ONNX Runtime copies an image pixel by pixel, three bytes at a time: that
    takes longer than a float convolution of so few channels and the rounding of what comes of it.
    Not before an op that only moves values: ONNX Runtime would pull the rounding before a MaxPool,
    whose integer kernel is slow where its input does not come from integers.
    """
    if not target.float_stem or node.op_type != "Conv":
        return False
    shape, alone = edges.shape(node.input[1]), edges.only_consumer(node.input[0]) is node
    narrow = len(shape) == 4 and shape[0] <= _OUTPUTS and shape[1] <= _CHANNELS
    if not (narrow and alone) or node.input[0] in edges.producers:
        return False
    halves = integer_list(node, "strides") == (2, 2)
    readers = edges.consumers.get(stem_output(node, edges), ())
    return halves and not any(reader.op_type in target.carried for reader in readers)


def find_stem(nodes: Iterable[NodeProto], edges: Wiring, target: Target) -> NodeProto | None:
    """The one of these nodes that is in float because it is faster so, if there is one."""
    return next((node for node in nodes if is_float_stem(node, edges, target)), None)


def left_in_float(model: ModelProto, target: Target) -> str | None:
    """The name of the layer of a quantized model that is in float because it is faster so."""
    stem = find_stem(model.graph.node, wiring(model), target)
    return None if stem is None else stem.name


def stem_output(node: NodeProto, edges: Wiring) -> str:
    """What a stem gives, after the Relu or Clip(0, ...) that alone reads it, if there is one."""
    after = edges.only_consumer(node.output[0])
    if after is None or after.op_type not in FUNCTIONS or bounds(after, edges)[0] != 0:
        return str(node.output[0])
    return str(after.output[0])
