"""How much each channel of each tensor weighs in the answers.

An error in a channel that everybody reads with small weights does little harm, however loud the
channel is. Going backwards from the outputs, the squared weights say how much of a channel's power
arrives: the squared gain of the network if it had no activation functions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edgecnn.graph.fold import channel_axis
from edgecnn.graph.model_io import shapes_of
from edgecnn.graph.wiring import Wiring, attribute, wiring

_MOST = 16.0  # times the mean: saturation behind the readers keeps any channel from more

Importance = NDArray[np.float64]


def importances(model: ModelProto) -> dict[str, Importance]:
    """By tensor of a folded model, the weight of each channel (axis 1), their mean 1 at most.

    A tensor whose channels nothing is known of has none.
    """
    edges, channels = wiring(model), _channels(model)
    found = {item.name: np.ones(channels.get(item.name, 1)) for item in model.graph.output}
    for node in reversed(model.graph.node):
        output = found.get(node.output[0])
        if output is None:
            continue
        for name, share in _inputs(node, output, edges, channels):
            if share.size == channels.get(name):
                found[name] = found.get(name, np.zeros(share.size)) + _scaled(share)
    return {name: _scaled(share) for name, share in found.items()}


def _scaled(share: Importance) -> Importance:
    mean = float(share.mean()) if share.size else 0.0
    return np.minimum(share / mean, _MOST) if mean > 0 else np.ones(share.size)


def _channels(model: ModelProto) -> dict[str, int]:
    shapes = shapes_of(model).items()
    return {name: shape[1] for name, shape in shapes if len(shape) > 1 and shape[1] is not None}


def _inputs(
    node: NodeProto, output: Importance, edges: Wiring, channels: dict[str, int]
) -> Iterator[tuple[str, Importance]]:
    """What the importance of a node's output means for each of its inputs."""
    if node.op_type in ("Conv", "Gemm") and node.input[1] in edges.constants:
        yield node.input[0], _through_layer(node, output, edges)
    elif node.op_type == "Concat":
        ends = np.cumsum([channels.get(name, 0) for name in node.input])
        yield from zip(node.input, np.split(output, ends[:-1]), strict=True)
    else:
        for name in node.input:
            if name and name not in edges.constants:
                yield name, _folded(output, channels.get(name, 0))


def _through_layer(node: NodeProto, output: Importance, edges: Wiring) -> Importance:
    """(inputs,) from the squared weights (outputs, inputs of a group, ...)."""
    weight = np.moveaxis(edges.value(node.input[1]), channel_axis(node), 0)
    groups = attribute(node, "group", 1)
    count = groups if isinstance(groups, int) else 1
    inputs = weight.shape[1]
    if len(weight) != output.size:
        return np.ones(inputs * count)
    grouped = weight.reshape(count, len(weight) // count, inputs, -1)
    # In one go: the squares of a large layer in float64 would take a gigabyte.
    gains = np.einsum("gkis,gkis,gk->gi", grouped, grouped, output.reshape(count, -1))
    return np.asarray(gains, np.float64).ravel()


def _folded(output: Importance, channels: int) -> Importance:
    """The same channels, or those that a Flatten has strung out."""
    if channels and output.size > channels and output.size % channels == 0:
        return np.asarray(output.reshape(channels, -1).sum(axis=1))
    return output
