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

AHEAD = BuildOptions(compute_capabilities=(86,))


def check_builds(fp32: Path) -> None:
    """Build it in FP32 and in FP16, whose answers stay; skips where the builder is missing."""
    rtx = requirements.tensorrt_rtx()
    images = Frames(find_calibration("natural:16", limit=16), read_contract(fp32))
    halved = halve_model(fp32, images.tensors)
    assert halved.parity.sqnr_db > 30  # random weights: trained ones are at 50 and more
    fp16 = fp32.with_name("fp16.onnx")
    onnx.save(halved.model, fp16)
    assert fp16.stat().st_size < 0.6 * fp32.stat().st_size
    for path in (fp32, fp16):
        assert build_plan(rtx, path, options=AHEAD)[:4] == b"vtrt"


def check_builds_int8(int8: Path) -> None:
    """Build a file that was quantized for TensorRT."""
    rtx = requirements.tensorrt_rtx()
    assert build_plan(rtx, int8, options=AHEAD)[:4] == b"vtrt"
