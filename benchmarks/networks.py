"""The files that benchmarks of speed run: networks at full size with random weights, made once."""

from __future__ import annotations

from pathlib import Path

from benchmarks.random_weights import random_weights
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.quantize import QuantizeOptions, quantize

OUTPUT = Path("bench-output")


def files(name: str) -> tuple[Path, Path]:
    """The network's FP32 file and its INT8 file, made where they are missing."""
    source = OUTPUT / f"{name}.onnx"
    int8 = OUTPUT / f"{name}.int8.onnx"
    if not source.exists():
        options = ExportOptions(weights=str(weights(name)), images=4)
        export(name, output=source, options=options)
    if not int8.exists():
        images = find_calibration("natural:16", seed=0)
        quantize(source, images, output=int8, options=QuantizeOptions(effort="fast"), force=True)
    return source, int8


def weights(name: str) -> Path:
    """The network's random weights, made where they are missing."""
    return random_weights(name, OUTPUT / f"{name}.pth")
