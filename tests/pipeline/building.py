"""A network's file parses and builds in TensorRT-RTX, which needs no GPU for that."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgecnn.graph.half import halve_model
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.frames import Frames
from edgecnn.runtime.engines.trt_build import BuildOptions, build_plan
from tests import requirements
from tests.graph.test_qdq import quantized

AHEAD = BuildOptions(compute_capabilities=(86,))


def check_builds(fp32: Path, pictures: Path) -> None:
    """Build it in FP32, in INT8, and in FP16, whose answers stay; skips without the builder."""
    rtx = requirements.tensorrt_rtx()
    tensors = Frames(find_calibration(str(pictures), limit=16), read_contract(fp32)).tensors
    halved = halve_model(fp32, tensors)
    assert halved.parity.sqnr_db > 30  # random weights: trained ones are at 50 and more
    int8 = quantized(onnx.load(fp32), target="tensorrt", images=tensors)
    files = {"fp16": halved.model, "s8": int8}
    for name, model in files.items():
        onnx.save(model, fp32.with_name(f"{name}.onnx"))
    assert fp32.with_name("fp16.onnx").stat().st_size < 0.6 * fp32.stat().st_size
    for path in (fp32, *(fp32.with_name(f"{name}.onnx") for name in files)):
        assert build_plan(rtx, path, options=AHEAD)[:4] == b"vtrt"
