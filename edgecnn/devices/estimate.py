"""How long a network would take on a board that is not here: an estimate, never a measurement.

The roofline (see `roofline.py`) bounds a layer by a board's peaks; engines reach a part of them.
Here each limit has a factor, the share of the peak that engines do reach, fitted on one half of
published latencies; `benchmarks/estimates.py` fits them and tells how far off the other half is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgecnn.devices.boards import Board, Precision, Unit
from edgecnn.devices.roofline import BYTES
from edgecnn.errors import DeviceError

Kind = Literal["dense", "pointwise", "depthwise", "linear", "other"]
Engine = Literal["tensorrt", "onnxruntime", "ncnn"]

# Boards whose published latencies the factors were fitted on; others are further off.
KNOWN_BOARDS = (
    "jetson-nano", "jetson-tx2", "jetson-agx-xavier", "raspberry-pi-3", "raspberry-pi-4",
)  # fmt: skip
_UNKNOWN_SPREAD = 1.5


@dataclass(frozen=True, slots=True)
class Work:
    """What a layer does in one run: products, and the values that it moves, each once.

    `pointwise` is a 1x1 convolution, `dense` a larger one, `other` a layer without products.
    """

    kind: Kind
    macs: int
    values: int


@dataclass(frozen=True, slots=True)
class Factors:
    """The share of each peak that engines reach, what a layer costs besides, and how sure it is.

    `dense` stands for linear layers, too. It may exceed 1: Winograd's convolution does fewer
    products than are counted. The truth lies within `spread` times the estimate, to either side,
    for about nine of ten networks.
    """

    dense: float
    pointwise: float
    depthwise: float
    memory: float
    layer_s: float
    spread: float

    def share(self, kind: Kind) -> float:
        """The share of the peak that layers of this kind reach."""
        if kind in ("pointwise", "depthwise"):
            return self.pointwise if kind == "pointwise" else self.depthwise
        return self.dense


# What `python -m benchmarks.estimates --fit` prints. Depthwise layers use no tensor cores: their
# share of those is that of CUDA cores times the ratio of the two peaks, a quarter.
FACTORS: Mapping[Unit, Factors] = {
    "cuda": Factors(0.94, 0.58, 0.0073, 0.43, 66e-6, 1.62),
    "tensor": Factors(0.49, 0.76, 0.0018, 1.0, 39e-6, 1.57),
    "arm": Factors(0.36, 0.29, 0.026, 0.59, 24e-6, 1.62),
    "arm int8": Factors(0.27, 0.077, 0.067, 0.54, 26e-6, 3.73),
}

# ONNX Runtime takes 1.25 to 2.87 times as long as ncnn on a Raspberry Pi 5, the median of 13
# networks is 2.09: visionanalysis.org/articles/ncnn-fp32-vs-onnx-fp32-rpi5
_ONNXRUNTIME_OVER_NCNN, _ONNXRUNTIME_SPREAD = 2.09, 1.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a network would take, in ms, with the range that should hold the truth."""

    engine: Engine
    ms: float
    low_ms: float
    high_ms: float


def estimate(
    board: Board, works: Sequence[Work], *, precision: Precision, engine: Engine | None = None
) -> Estimate:
    """Estimate how long a run takes on a board, with the engine that is usual there.

    Raises DeviceError for what nothing is known about.
    """
    unit = board.units.get(precision)
    factors = FACTORS.get(unit) if unit else None
    if unit is None or factors is None:
        raise DeviceError(
            f"no {precision} estimates for {board.name}",
            hint=f"it has {', '.join(board.units)}" if factors else "measure there instead",
        )
    usual: Engine = "tensorrt" if unit in ("cuda", "tensor") else "onnxruntime"
    engine = engine or usual
    seconds = sum(layer_s(board, factors, work, precision) for work in works)
    spread = factors.spread
    if engine == "onnxruntime":
        seconds *= _ONNXRUNTIME_OVER_NCNN
        spread *= _ONNXRUNTIME_SPREAD
    if board.name not in KNOWN_BOARDS:
        spread *= _UNKNOWN_SPREAD
    ms = 1e3 * seconds
    return Estimate(engine, ms, ms / spread, ms * spread)


def layer_s(board: Board, factors: Factors, work: Work, precision: Precision) -> float:
    """What one layer takes, in seconds: the limit that it meets first, and being started."""
    compute_s = work.macs / (board.macs_per_s[precision] * factors.share(work.kind))
    memory_s = work.values * BYTES[precision] / (board.bytes_per_s * factors.memory)
    return max(compute_s, memory_s) + factors.layer_s
