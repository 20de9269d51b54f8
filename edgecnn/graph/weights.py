"""The scale of each output channel of a weight."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from edgecnn.graph.plan import Plan
from edgecnn.graph.targets import Target
from edgecnn.graph.wiring import FloatArray, wiring

_SHRINKS = np.linspace(1.0, 0.7, 31, dtype=np.float32)
_CACHED = 1 << 17  # weights that stay in a processor's cache while they are looked at


def weight_scales(model: ModelProto, plan: Plan, target: Target) -> dict[str, FloatArray]:
    """Layer name -> the scale of each of its output channels."""
    edges = wiring(model)
    return {
        layer.name: _scales(edges.value(layer.weight), layer.axis, target) for layer in plan.layers
    }


def _scales(weight: FloatArray, axis: int, target: Target) -> FloatArray:
    if target.per_channel:
        return best_scales(weight, axis=axis, largest=target.largest_weight)
    one = best_scales(weight.reshape(1, -1), axis=0, largest=target.largest_weight)
    return np.repeat(one, weight.shape[axis])


def full_scales(weight: FloatArray, *, axis: int, largest: int) -> FloatArray:
    """Scales, shape (channels,), that give the largest weight of a channel the largest integer."""
    peaks = np.abs(_rows(weight, axis)).max(axis=1, initial=0.0)
    return np.where(peaks > 0, peaks / largest, 1.0).astype(np.float32)


def best_scales(weight: FloatArray, *, axis: int, largest: int) -> FloatArray:
    """Scales, shape (channels,), with the least squared error of rounding.

    Candidates shrink the full range; the full range is one of them, so weights that lie on a
    grid already keep it.
    """
    full = full_scales(weight, axis=axis, largest=largest)
    rows = _rows(weight, axis)
    block = max(1, _CACHED // rows.shape[1])
    parts = (slice(start, start + block) for start in range(0, len(rows), block))
    return np.concatenate([_best(rows[part], full[part], largest) for part in parts])


def _best(rows: FloatArray, full: FloatArray, largest: int) -> FloatArray:
    best, least = full.copy(), np.full(full.shape, np.inf, np.float32)
    for shrink in _SHRINKS:
        scales = full * shrink
        steps = rows / scales[:, None]
        np.rint(steps, out=steps)
        np.clip(steps, -largest, largest, out=steps)
        steps *= scales[:, None]
        steps -= rows
        error = np.einsum("ij,ij->i", steps, steps)
        better = error < least
        best[better], least[better] = scales[better], error[better]
    return best


def _rows(weight: FloatArray, axis: int) -> FloatArray:
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
