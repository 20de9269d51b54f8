"""A network's file parses and builds in TensorRT-RTX, which needs no GPU for that."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgecnn.graph.half import halve_model
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.runtime.engines.trt_build import BuildOptions, build_plan
from tests import requirements

AHEAD = BuildOptions(compute_capabilities=(86,))


def check_builds(fp32: Path, pictures: Path) -> None:
    """Build it in FP32, in INT8, and in FP16, whose answers stay; skips without the builder."""
    rtx = requirements.tensorrt_rtx()
    images = find_calibration(str(pictures), limit=16)
    halved = halve_model(fp32, Frames(images, read_contract(fp32)).tensors)
    assert halved.parity.sqnr_db > 30  # random weights: trained ones are at 50 and more
    fp16 = fp32.with_name("fp16.onnx")
    onnx.save(halved.model, fp16)
    assert fp16.stat().st_size < 0.6 * fp32.stat().st_size
    options = QuantizeOptions(effort="fast", method="minmax", target="tensorrt")
    int8 = fp32.with_name("s8.onnx")
    quantize(fp32, images, options=options, output=int8)
    for path in (fp32, fp16, int8):
        assert build_plan(rtx, path, options=AHEAD)[:4] == b"vtrt"
