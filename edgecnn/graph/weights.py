"""The scale of each output channel of a weight."""

from __future__ import annotations

import numpy as np

from edgecnn.graph.wiring import FloatArray

_SHRINKS = np.linspace(1.0, 0.7, 31)
_SAMPLE = 4096  # weights of a channel that are looked at


def full_scales(weight: FloatArray, *, axis: int, largest: int) -> FloatArray:
    """Scales, shape (channels,), that give the largest weight of a channel the largest integer."""
    peaks = np.abs(_rows(weight, axis)).max(axis=1, initial=0.0)
    return np.where(peaks > 0, peaks / largest, 1.0).astype(np.float32)


def weight_scales(weight: FloatArray, *, axis: int, largest: int) -> FloatArray:
    """Scales, shape (channels,), with the least squared error of rounding.

    Candidates shrink the full range; the full range is one of them, so weights that lie on a
    grid already keep it.
    """
    full = full_scales(weight, axis=axis, largest=largest)
    rows = _rows(weight, axis)
    rows = rows[:, :: -(-rows.shape[1] // _SAMPLE)]
    best, least = full.copy(), np.full(full.shape, np.inf, np.float32)
    for shrink in _SHRINKS:
        scales = (full * np.float32(shrink)).astype(np.float32)
        steps = np.clip(np.rint(rows / scales[:, None]), -largest, largest)
        error = np.square(steps * scales[:, None] - rows).sum(axis=1)
        better = error < least
        best[better], least[better] = scales[better], error[better]
    return best


def _rows(weight: FloatArray, axis: int) -> FloatArray:
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
