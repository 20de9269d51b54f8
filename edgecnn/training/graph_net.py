"""An ONNX graph as a PyTorch network whose weights can be trained, quantized ones on their grid.

Of a graph in the QDQ form, weights are held in units of their scale and rounded on the way, so that
what is trained is what the integers of the file will be; everything else (scales, zero points,
ranges) stays as the quantizer wrote it. Gradients pass a rounding as if it were not there and stop
where it saturates (Bengio et al. 2013, https://arxiv.org/abs/1308.3432; Jacob et al. 2018,
https://arxiv.org/abs/1712.05877, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgecnn.errors import GraphError
from edgecnn.graph.integers import LARGEST_BIAS
from edgecnn.graph.wiring import attribute, put_constant, wiring
from edgecnn.training.graph_ops import OPS, Node, dequantized, round_through

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_BIAS_UNIT = 0.01  # of a layer's typical bias, so that one learning rate suits all


@dataclass(frozen=True, slots=True)
class _Grid:
    """An initialiser of integers that a DequantizeLinear turns into weights or a bias."""

    name: str
    scale: Tensor
    is_bias: bool
    key: str


class _Scaled(NamedTuple):
    """Real values as integers, (N, ...), times a scale that broadcasts."""

    integers: Tensor
    scale: Tensor


class GraphNet(nn.Module):
    """Images (N, ...) to the graph's first output (N, ...).

    `largest_weight` is the largest magnitude of a quantized weight. Only integers that a
    DequantizeLinear reads, and float biases of a quantized graph, are trained. Raises GraphError
    for an operator that is not known here.
    """

    def __init__(self, model: ModelProto, *, largest_weight: int = 127) -> None:
        super().__init__()
        self._model = model
        self._largest = largest_weight
        self._edges = wiring(model)
        unknown = next((node for node in model.graph.node if node.op_type not in OPS), None)
        if unknown is not None:
            raise GraphError(
                f"{unknown.name or unknown.output[0]}: {unknown.op_type} cannot be trained through",
                hint="quantize it without fine-tuning",
            )
        self._steps = tuple(_as_node(node) for node in model.graph.node)
        self._constants: dict[str, Tensor] = {
            name: torch.from_numpy(np.array(self._edges.constant(name)))
            for name in self._edges.constants
        }
        self._grids: dict[str, _Grid] = {}
        self._trained = nn.ParameterDict()
        self._begin: dict[str, Tensor] = {}
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in self._edges.constants:
                self._add_grid(node)
        self._float_biases = self._add_float_biases()

    def forward(self, images: Tensor) -> Tensor:
        """The first output for a batch of images."""
        values: dict[str, Tensor] = {self._model.graph.input[0].name: images}
        exact: dict[str, _Scaled] = {}
        for step in self._steps:
            found = self._exact(step, values, exact)
            if found is not None:
                exact[step.outputs[0]] = found
                values[step.outputs[0]] = found.integers * found.scale
                continue
            given = [self._value(name, values) for name in step.inputs]
            values.update(zip(step.outputs, OPS[step.op](step, given), strict=False))
        return values[self._model.graph.output[0].name]

    def written(self) -> ModelProto:
        """A copy of the graph with the integers that the trained values round to."""
        copy = type(self._model)()
        copy.CopyFrom(self._model)
        with torch.no_grad():
            for grid in self._grids.values():
                put_constant(copy, grid.name, self._integers(grid))
            for name, key in self._float_biases.items():
                put_constant(copy, name, self._bias(key).numpy().astype(np.float32))
        return copy

    def _value(self, name: str, values: Mapping[str, Tensor]) -> Tensor | None:
        if not name:
            return None
        if name in self._float_biases:
            return self._bias(self._float_biases[name])
        return values[name] if name in values else self._constants[name]

    def _add_grid(self, node: NodeProto) -> None:
        integers, scale = (self._edges.constant(name) for name in node.input[:2])
        assert integers is not None
        assert scale is not None
        axis = attribute(node, "axis", 1)
        shape = [1] * integers.ndim
        if scale.size > 1:
            shape[axis if isinstance(axis, int) else 1] = -1
        is_bias = integers.dtype == np.int32
        units = torch.from_numpy(scale.astype(np.float64).reshape(shape if scale.size > 1 else ()))
        key = f"p{len(self._begin)}"
        begin = torch.from_numpy(integers.astype(np.float64)) * (units if is_bias else 1.0)
        self._grids[node.input[0]] = _Grid(node.input[0], units, is_bias, key)
        self._add(key, begin.float(), is_bias=is_bias)

    def _add_float_biases(self) -> dict[str, str]:
        """Name -> key of the biases that a quantized graph keeps in float."""
        found: dict[str, str] = {}
        for node in self._model.graph.node if self._grids else ():
            quantized = node.op_type in ("Conv", "Gemm") and len(node.input) > 2
            if quantized and node.input[2] in self._constants:
                key = f"p{len(self._begin)}"
                self._add(key, self._constants[node.input[2]], is_bias=True)
                found[node.input[2]] = key
        return found

    def _add(self, key: str, begin: Tensor, *, is_bias: bool) -> None:
        self._begin[key] = begin
        start = torch.zeros_like(begin) if is_bias else begin.clone()
        self._trained[key] = nn.Parameter(start)

    def _bias(self, key: str) -> Tensor:
        """Its first value and what was learnt on top."""
        begin = self._begin[key]
        unit = _BIAS_UNIT * begin.square().mean().sqrt()
        bias: Tensor = begin + unit * self._trained[key]
        return bias

    def _exact(
        self, step: Node, values: Mapping[str, Tensor], exact: Mapping[str, _Scaled]
    ) -> _Scaled | None:
        """What a node gives in integers, as the engine computes it; None for a float node.

        Sums of real values would fall on the other side of a rounding now and then, and behind
        twenty layers one such step is many.
        """
        first = exact.get(step.inputs[0])
        if step.op == "DequantizeLinear":
            return self._scaled(step, values)
        if first is None:
            return None
        if step.op == "QuantizeLinear":
            scale = self._constants[step.inputs[1]]
            zero = self._constants[step.inputs[2]]
            in_steps = [first.integers * (first.scale / scale), torch.ones(()), zero]
            return _Scaled(OPS[step.op](step, in_steps)[0], torch.ones(()))
        if step.op in ("Conv", "Gemm") and exact.keys() >= set(step.inputs[1:]):
            return self._layer(step, [exact[name] for name in step.inputs])
        if step.op == "GlobalAveragePool":
            places = first.integers[0, 0].numel()
            return _Scaled(first.integers.sum(dim=(2, 3), keepdim=True), first.scale / places)
        if step.op == "Relu":
            return _Scaled(first.integers.relu(), first.scale)
        return None

    def _scaled(self, step: Node, values: Mapping[str, Tensor]) -> _Scaled:
        """What a DequantizeLinear reads, less its zero point, and what a unit of it is worth."""
        grid = self._grids.get(step.inputs[0])
        if grid is None:
            given = [self._value(name, values) for name in step.inputs]
            return _Scaled(*dequantized(step, given))
        scale = grid.scale.float()
        if grid.is_bias:
            return _Scaled(round_through(self._bias(grid.key) / scale), scale)
        steps = round_through(self._trained[grid.key])
        return _Scaled(steps.clamp(-self._largest, self._largest), scale)

    def _layer(self, step: Node, given: Sequence[_Scaled]) -> _Scaled:
        (sums,) = OPS[step.op](step, [each.integers for each in given[:2]])
        shape = [1, -1] + [1] * (sums.ndim - 2)
        unit = (given[0].scale * given[1].scale).reshape(shape)
        bias = given[2].integers.reshape(shape) if len(given) > 2 else 0
        return _Scaled(sums + bias, unit)

    def _integers(self, grid: _Grid) -> NDArray[np.integer]:
        if not grid.is_bias:
            steps = self._trained[grid.key].round().clamp(-self._largest, self._largest)
            return np.asarray(steps, np.int8)
        steps = torch.round(self._bias(grid.key).double() / grid.scale)
        return np.asarray(steps.clamp(-LARGEST_BIAS, LARGEST_BIAS), np.int32)


def _as_node(node: NodeProto) -> Node:
    attributes = {item.name: attribute(node, item.name) for item in node.attribute}
    return Node(node.op_type, tuple(node.input), tuple(node.output), attributes)
