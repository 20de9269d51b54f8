"""Rounding each weight so that the errors of a channel's weights cancel on real inputs.

The nearest integer is best for a weight alone, not for the sum that it goes into. Weights are
rounded one input after another, and the error that one makes is spread over those still to come,
in the proportion in which their inputs move together (Frantar et al. 2022, GPTQ,
https://arxiv.org/abs/2210.17323; Hassibi, Stork 1992, Second order derivatives for network pruning:
optimal brain surgeon).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.prefix import Prefix
from edgecnn.graph.qdq import quantized_name
from edgecnn.graph.targets import Target
from edgecnn.graph.wiring import FloatArray, attribute, integer_list, number, put_constant, wiring

Doubles = NDArray[np.float64]

IMAGES = 96
MAX_INPUTS = 2304  # of one output: the cost grows with the cube
_POSITIONS = 256  # of an image that are looked at
_DAMPING = 0.01
_BLOCK = 64


class Rounding:
    """Rounds a layer's weights anew, from the float weights, behind a quantized prefix."""

    def __init__(self, folded: ModelProto, plan: Plan, target: Target) -> None:
        self._weights = wiring(folded)
        self._nodes = {node.name: node for node in folded.graph.node}
        self._plan = plan
        self._largest = target.largest_weight

    def __call__(self, layer: Layer, prefix: Prefix) -> None:
        """Change the integers of the layer's weights in the prefix's model."""
        weight = self._weights.value(layer.weight)
        gather = _gather(self._nodes[layer.name], layer, weight.shape)
        if gather is None:
            return
        name = quantized_name(layer.weight)
        edges = prefix.edges
        source = self._plan.shared.get(layer.input, layer.input)
        zero_point = edges.value(f"{source}_zero_point")
        moments = gather.moments(prefix, quantized_name(layer.input), zero_point)
        rows = np.moveaxis(weight, layer.axis, 0)
        grouped = rows.reshape(gather.groups, len(rows) // gather.groups, -1).astype(np.float64)
        stored = edges.value(f"{name}_scale").astype(np.float64)
        scales = np.broadcast_to(stored, len(rows)).reshape(grouped.shape[:2])
        integers = round_together(grouped, moments, scales, self._largest)
        rounded = np.moveaxis(integers.reshape(rows.shape), 0, layer.axis)
        put_constant(prefix.model, name, rounded.astype(np.int8))


@dataclass(frozen=True, slots=True)
class _Gather:
    """How a layer collects the inputs of one output: `kernel` 1x1 at stride 1 for a Gemm."""

    groups: int
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]

    def moments(self, prefix: Prefix, tensor: str, zero_point: FloatArray) -> Doubles:
        """Sums of products of inputs, shape (groups, inputs, inputs)."""
        total: FloatArray | None = None
        for index, integers in enumerate(itertools.islice(prefix.run(tensor), IMAGES)):
            for image in integers.astype(np.float32) - zero_point:
                inputs = self._inputs(image, index)
                products = inputs @ inputs.transpose(0, 2, 1)
                total = products if total is None else total + products
        return np.asarray(total, np.float64)

    def _inputs(self, image: FloatArray, index: int) -> FloatArray:
        """Inputs of evenly spaced outputs, shape (groups, inputs, positions)."""
        maps = image.reshape(len(image), *(image.shape[1:] or (1, 1)))
        top, left, bottom, right = self.pads
        maps = np.pad(maps, ((0, 0), (top, bottom), (left, right)))
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        windows = sliding_window_view(maps, spans, axis=(1, 2))
        (down, across), (tall, wide) = self.strides, self.dilations
        windows = windows[:, ::down, ::across, ::tall, ::wide]
        places = windows.shape[1] * windows.shape[2]
        step = -(-places // _POSITIONS)
        rows, columns = np.divmod(np.arange(index % step, places, step), windows.shape[2])
        looked_at = windows[:, rows, columns].transpose(0, 2, 3, 1)
        return looked_at.reshape(self.groups, -1, len(rows))


def _gather(node: NodeProto, layer: Layer, shape: tuple[int, ...]) -> _Gather | None:
    """How a layer collects its inputs, None for one that is left as it is."""
    if layer.op_type == "Gemm":
        if shape[1 - layer.axis] > MAX_INPUTS:
            return None
        return _Gather(1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    padded_by_itself = attribute(node, "auto_pad", b"NOTSET") != b"NOTSET"
    if layer.op_type != "Conv" or len(shape) != 4 or padded_by_itself:
        return None
    if np.prod(shape[1:]) > MAX_INPUTS:
        return None
    return _Gather(
        groups=int(number(node, "group", 1)),
        kernel=shape[2:],
        strides=integer_list(node, "strides", (1, 1)),
        pads=integer_list(node, "pads", (0, 0, 0, 0)),
        dilations=integer_list(node, "dilations", (1, 1)),
    )


def round_together(weights: Doubles, moments: Doubles, scales: Doubles, largest: int) -> Doubles:
    """Integers near weights / scales whose errors cancel under `moments`.

    `weights` is (groups, outputs, inputs), `moments` (groups, inputs, inputs), `scales` (groups,
    outputs); the integers lie within -largest..largest.
    """
    spread = _spread(moments)
    if spread is None:
        return np.clip(np.rint(weights / scales[:, :, None]), -largest, largest)
    order, upper = spread
    left = np.take_along_axis(weights, order[:, None, :], axis=2)
    integers = np.zeros_like(left)
    for start in range(0, left.shape[2], _BLOCK):
        stop = min(start + _BLOCK, left.shape[2])
        errors = np.zeros((*left.shape[:2], stop - start))
        for column in range(start, stop):
            steps = np.clip(np.rint(left[:, :, column] / scales), -largest, largest)
            integers[:, :, column] = steps
            error = (left[:, :, column] - steps * scales) / upper[:, column, column, None]
            errors[:, :, column - start] = error
            rest = slice(column + 1, stop)
            left[:, :, rest] -= error[:, :, None] * upper[:, None, column, rest]
        left[:, :, stop:] -= errors @ upper[:, start:stop, stop:]
    back = np.argsort(order, axis=1)
    return np.take_along_axis(integers, back[:, None, :], axis=2)


def _spread(moments: Doubles) -> tuple[NDArray[np.intp], Doubles] | None:
    """Inputs by falling power, and how an error spreads over the ones after it.

    The latter is the upper Cholesky factor of the inverse of the (damped) moments; None where
    they are too close to singular for it.
    """
    power = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(-power, axis=1, kind="stable")
    sorted_rows = np.take_along_axis(moments, order[:, :, None], axis=1)
    damped = np.take_along_axis(sorted_rows, order[:, None, :], axis=2)
    damping = np.maximum(_DAMPING * power.mean(axis=1), 1e-6)
    damped += damping[:, None, None] * np.eye(moments.shape[1])
    try:
        return order, np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    except np.linalg.LinAlgError:
        return None
