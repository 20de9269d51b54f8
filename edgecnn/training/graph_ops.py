"""The operators of classifiers' ONNX graphs in PyTorch: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgecnn.errors import GraphError

Values = Sequence[Tensor | None]


@dataclass(frozen=True, slots=True)
class Node:
    """An ONNX node without its protobuf: op, names of inputs and outputs, attributes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


def round_through(values: Tensor) -> Tensor:
    """Rounded, halves to even; the gradient passes as if it were not."""
    return values + (values.round() - values).detach()


def _quantize(node: Node, given: Values) -> list[Tensor]:
    values, scale, zero = _all(given)
    limits = torch.iinfo(zero.dtype)
    steps = round_through(values / scale) + zero.float()
    return [steps.clamp(limits.min, limits.max)]


def dequantized(node: Node, given: Values) -> tuple[Tensor, Tensor]:
    """The inputs of a DequantizeLinear as integers less their zero point, and their scale."""
    steps, scale, zero = _all(given)
    shape = [1] * steps.ndim
    if scale.numel() > 1:
        shape[int(node.attributes.get("axis", 1))] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return steps - zero.float(), scale


def _dequantize(node: Node, given: Values) -> list[Tensor]:
    integers, scale = dequantized(node, given)
    return [integers * scale]


def _conv(node: Node, given: Values) -> list[Tensor]:
    maps, weight = _all(given[:2])
    bias = given[2] if len(given) > 2 else None
    spatial = maps.ndim - 2
    maps, pads = _padded(node, maps)
    result = functional.conv2d(
        maps,
        weight,
        bias,
        stride=_integers(node, "strides", spatial, 1),
        padding=pads,
        dilation=_integers(node, "dilations", spatial, 1),
        groups=int(node.attributes.get("group", 1)),
    )
    return [result]


def _padded(node: Node, maps: Tensor, value: float = 0.0) -> tuple[Tensor, tuple[int, ...]]:
    """The maps, padded where the two sides differ, and the padding that is left to the layer."""
    if node.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise GraphError(f"{node.outputs[0]}: auto_pad is not known here", hint="export it again")
    top, left, bottom, right = _integers(node, "pads", 4, 0)
    if (top, left) == (bottom, right):
        return maps, (top, left)
    return functional.pad(maps, (left, right, top, bottom), value=value), (0, 0)


def _gemm(node: Node, given: Values) -> list[Tensor]:
    rows, weight = _all(given[:2])
    if node.attributes.get("transB", 0):
        weight = weight.t()
    result = float(node.attributes.get("alpha", 1.0)) * (rows @ weight)
    bias = given[2] if len(given) > 2 else None
    return [result if bias is None else result + float(node.attributes.get("beta", 1.0)) * bias]


def _clip(node: Node, given: Values) -> list[Tensor]:
    values, low, high = (*given, None, None)[:3]
    assert values is not None
    return [torch.clamp(values, None if low is None else low, None if high is None else high)]


def _max_pool(node: Node, given: Values) -> list[Tensor]:
    (maps,) = _all(given)
    maps, pads = _padded(node, maps, value=-torch.inf)
    result: Tensor = functional.max_pool2d(
        maps,
        _integers(node, "kernel_shape", 2, 1),
        _integers(node, "strides", 2, 1),
        pads,
        _integers(node, "dilations", 2, 1),
        ceil_mode=bool(node.attributes.get("ceil_mode", 0)),
    )
    return [result]


def _average_pool(node: Node, given: Values) -> list[Tensor]:
    (maps,) = _all(given)
    counts_pads = bool(node.attributes.get("count_include_pad", 0))
    top, left, bottom, right = _integers(node, "pads", 4, 0)
    if (top, left) != (bottom, right):
        raise GraphError(f"{node.outputs[0]}: uneven pads of a mean", hint="export it again")
    result = functional.avg_pool2d(
        maps,
        _integers(node, "kernel_shape", 2, 1),
        _integers(node, "strides", 2, 1),
        (top, left),
        ceil_mode=bool(node.attributes.get("ceil_mode", 0)),
        count_include_pad=counts_pads,
    )
    return [result]


def _reshape(node: Node, given: Values) -> list[Tensor]:
    """To a constant shape; its batch is that of the images, whatever the file was exported for."""
    values, shape = _all(given)
    sides = [int(side) for side in shape]
    kept = [values.shape[axis] if side == 0 else side for axis, side in enumerate(sides)]
    return [values.reshape(len(values), *kept[1:])]


def _flatten(node: Node, given: Values) -> list[Tensor]:
    (values,) = _all(given)
    return [torch.flatten(values, int(node.attributes.get("axis", 1)))]


def _squeeze(node: Node, given: Values) -> list[Tensor]:
    values, axes = _all(given)
    return [values.squeeze(tuple(int(axis) for axis in axes))]


def _norm(node: Node, given: Values) -> list[Tensor]:
    maps, weight, bias, mean, variance = _all(given)
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    return [functional.batch_norm(maps, mean, variance, weight, bias, eps=epsilon)]


def _pad(node: Node, given: Values) -> list[Tensor]:
    maps, pads, value = (*given, None)[:3]
    assert maps is not None
    assert pads is not None
    begin, end = pads[: maps.ndim].tolist(), pads[maps.ndim :].tolist()
    sides = [side for pair in zip(reversed(begin), reversed(end), strict=True) for side in pair]
    return [functional.pad(maps, sides, value=0.0 if value is None else float(value))]


def _slice(node: Node, given: Values) -> list[Tensor]:
    values, *bounds = _all(given)
    starts, ends, *rest = (bound.tolist() for bound in bounds)
    axes = rest[0] if rest else range(len(starts))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places = range(values.shape[axis])[start:end:step]
        values = values.index_select(axis, torch.tensor(places))
    return [values]


def _leaky(node: Node, given: Values) -> list[Tensor]:
    (values,) = _all(given)
    return [functional.leaky_relu(values, float(node.attributes.get("alpha", 0.01)))]


def _hard_sigmoid(node: Node, given: Values) -> list[Tensor]:
    (values,) = _all(given)
    alpha, beta = (
        float(node.attributes.get(key, at)) for key, at in (("alpha", 0.2), ("beta", 0.5))
    )
    return [(alpha * values + beta).clamp(0, 1)]


def _transpose(node: Node, given: Values) -> list[Tensor]:
    (values,) = _all(given)
    return [values.permute(*node.attributes["perm"])]


def _concat(node: Node, given: Values) -> list[Tensor]:
    return [torch.cat(_all(given), int(node.attributes["axis"]))]


def _plain(function: Callable[..., Tensor]) -> Callable[[Node, Values], list[Tensor]]:
    return lambda _, given: [function(*_all(given))]


def _all(given: Values) -> list[Tensor]:
    assert all(value is not None for value in given)
    return [value for value in given if value is not None]


def _integers(node: Node, name: str, count: int, default: int) -> tuple[int, ...]:
    return tuple(node.attributes.get(name, (default,) * count))


OPS: Mapping[str, Callable[[Node, Values], list[Tensor]]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    "BatchNormalization": _norm,
    "Relu": _plain(torch.relu),
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "Sigmoid": _plain(torch.sigmoid),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(functional.hardswish),
    "Add": _plain(torch.add),
    "Mul": _plain(torch.mul),
    "Concat": _concat,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _plain(lambda maps: maps.mean(dim=(2, 3), keepdim=True)),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Pad": _pad,
    "Identity": _plain(torch.clone),
}
