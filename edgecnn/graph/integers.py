"""The integers that stand for real values: real = (integer - zero_point) * scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.graph.wiring import FloatArray

LARGEST_BIAS = 2**30  # half of int32, so that the products' sum has the other half
SMALLEST_SCALE = np.float32(1e-12)


@dataclass(frozen=True, slots=True)
class Integers:
    """The integers of an activation; symmetric ones have zero point 0."""

    low: int
    high: int
    symmetric: bool = False

    @property
    def steps(self) -> int:
        """How many steps lie between the lowest and the highest."""
        return self.high - self.low

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The NumPy type that holds them."""
        return np.dtype(np.int8 if self.low < 0 else np.uint8)


UINT8 = Integers(0, 255)
INT8 = Integers(-128, 127)
INT8_SYMMETRIC = Integers(-128, 127, symmetric=True)


@dataclass(frozen=True, slots=True)
class QParams:
    """real = (integer - zero_point) * scale."""

    scale: np.float32
    zero_point: int
    integers: Integers = UINT8

    @property
    def low(self) -> float:
        """The smallest real value."""
        return float((self.integers.low - self.zero_point) * self.scale)

    @property
    def high(self) -> float:
        """The largest real value."""
        return float((self.integers.high - self.zero_point) * self.scale)


def activation_qparams(low: float, high: float, integers: Integers = UINT8) -> QParams:
    """Parameters for a range, widened to hold zero exactly (padding needs that).

    Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3. Symmetric ones have the least
    scale that reaches both ends.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < float(SMALLEST_SCALE) * integers.steps:
        return QParams(np.float32(1.0), 0 if integers.symmetric else integers.low, integers)
    if integers.symmetric:
        return QParams(np.float32(max(low / integers.low, high / integers.high)), 0, integers)
    scale = np.float32((high - low) / integers.steps)
    # Counted from the lowest integer, so that signed and unsigned ones round in the same way.
    below_zero = min(round(-low / float(scale)), integers.steps)
    return QParams(scale, integers.low + below_zero, integers)


def quantize_weight(
    weight: FloatArray, scales: FloatArray, axis: int, largest: int
) -> NDArray[np.int8]:
    """Round weights to the nearest multiple of their channel's scale, symmetric around zero."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = weight / scales.reshape(shape)
    np.rint(steps, out=steps)
    np.clip(steps, -largest, largest, out=steps)
    return np.asarray(steps, np.int8)


def quantize_bias(bias: FloatArray, unit: FloatArray) -> NDArray[np.int32]:
    """Round a bias to multiples of `unit`, the product of input scale and weight scales."""
    steps = np.rint(bias.astype(np.float64) / unit)
    return np.clip(steps, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)


def roomy_scales(
    scales: FloatArray, bias: FloatArray | None, input_scale: np.float32
) -> FloatArray:
    """Scales large enough that the bias fits 30 bits: channels with almost no weight need that."""
    scales = np.maximum(scales, SMALLEST_SCALE)
    if bias is None:
        return scales
    return np.maximum(scales, (np.abs(bias) / (input_scale * LARGEST_BIAS)).astype(np.float32))
