"""One peer quantizes one file: runs in the peer's own environment, which has no edgecnn.

python accuracy_worker.py TOOL FLOAT.onnx IMAGES.npy INT8.onnx
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

STRIDE = 8  # images that ONNX Runtime's calibration holds in memory at a time


class _Reader:
    """Images as ONNX Runtime's calibration wants to read them."""

    def __init__(self, name: str, images: Any) -> None:
        self._name, self._images, self._range = name, images, (0, len(images))

    def __len__(self) -> int:
        return len(self._images)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._range = (start_index, end_index)

    def get_next(self) -> dict[str, Any] | None:
        start, end = self._range
        if start >= end:
            return None
        self._range = (start + 1, end)
        return {self._name: np.ascontiguousarray(self._images[start][None])}


def _onnxruntime(method: str, signed: bool, source: Path, images: Any, output: Path) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared))
        extra: dict[str, Any] = {"CalibStridedMinMax": STRIDE}
        if signed:
            extra |= {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
        quantize_static(
            str(prepared),
            str(output),
            _Reader(_input_name(source), images[: len(images) // STRIDE * STRIDE]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
            extra_options=extra,
        )


def _nncf(fast: bool, source: Path, images: Any, output: Path) -> None:
    import nncf

    name = _input_name(source)
    dataset = nncf.Dataset(images, lambda image: {name: np.ascontiguousarray(image[None])})
    made = nncf.quantize(
        onnx.load(source),
        dataset,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        fast_bias_correction=fast,
    )
    onnx.save(made, output)


def _modelopt(method: str, source: Path, images: Any, output: Path) -> None:
    from modelopt.onnx.quantization import quantize

    quantize(
        str(source),
        quantize_mode="int8",
        calibration_data={_input_name(source): np.array(images)},
        calibration_method=method,
        calibration_eps=["cpu"],
        high_precision_dtype="fp32",
        output_path=str(output),
    )


def _input_name(source: Path) -> str:
    return str(onnx.load(source, load_external_data=False).graph.input[0].name)


TOOLS: dict[str, Callable[[Path, Any, Path], None]] = {
    "ort-minmax-u8": partial(_onnxruntime, "MinMax", False),
    "ort-percentile-u8": partial(_onnxruntime, "Percentile", False),
    "ort-entropy-u8": partial(_onnxruntime, "Entropy", False),
    "ort-minmax-s8": partial(_onnxruntime, "MinMax", True),
    "ort-percentile-s8": partial(_onnxruntime, "Percentile", True),
    "ort-entropy-s8": partial(_onnxruntime, "Entropy", True),
    "nncf-fast-u8": partial(_nncf, True),
    "nncf-full-u8": partial(_nncf, False),
    "modelopt-max-s8": partial(_modelopt, "max"),
    "modelopt-entropy-s8": partial(_modelopt, "entropy"),
}

if __name__ == "__main__":
    tool, source, images, output = sys.argv[1:]
    TOOLS[tool](Path(source), np.load(images, mmap_mode="r"), Path(output))
