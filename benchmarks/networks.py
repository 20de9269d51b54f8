"""The files that benchmarks of speed run: networks at full size with random weights, made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.quantize import QuantizeOptions, quantize

OUTPUT = Path("bench-output")


def files(name: str) -> tuple[Path, Path]:
    """The network's FP32 file and its INT8 file, made where they are missing."""
    source = OUTPUT / f"{name}.onnx"
    int8 = OUTPUT / f"{name}.int8.onnx"
    if not source.exists():
        export(name, output=source, options=ExportOptions(weights="random", images=4))
    if not int8.exists():
        images = find_calibration("natural:16", seed=0)
        quantize(source, images, output=int8, options=QuantizeOptions(effort="fast"), force=True)
    return source, int8


def claim_holds(ratios: Sequence[float], *, mean_at_most: float, each_at_most: float) -> bool:
    """Say whether the geometric mean of ratios and the largest of them are as small as claimed."""
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    held = mean <= mean_at_most and max(ratios) <= each_at_most
    print(
        f"claim: geometric mean {mean:.2f}, at most {mean_at_most}; largest {max(ratios):.2f}, "
        f"at most {each_at_most}: {'holds' if held else 'DOES NOT HOLD'}"
    )
    return held
