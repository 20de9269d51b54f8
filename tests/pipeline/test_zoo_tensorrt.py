"""Every network of the zoo parses and builds in TensorRT-RTX, in FP32 and FP16, without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.half import half
from edgecnn.runtime.engines.trt_build import BuildOptions, build_plan
from edgecnn.zoo import ModelSpec, find, names
from tests import requirements
from tests.pipeline.test_zoo import CASES, exported

AHEAD = BuildOptions(compute_capabilities=(86,))
DETECTORS = [name for name in names() if find(name).task == "detection"]


@pytest.fixture(scope="module")
def rtx() -> Any:
    return requirements.tensorrt_rtx()


def both_build(rtx: Any, fp32: Path) -> None:
    fp16 = half(fp32, find_calibration("natural:16"))
    assert fp16.path.stat().st_size < 0.6 * fp32.stat().st_size
    assert fp16.halved.parity.rel < 0.02
    for path in (fp32, fp16.path):
        assert build_plan(rtx, path, options=AHEAD)[:4] == b"vtrt"


@pytest.mark.parametrize("spec", CASES)
def test_a_network_builds(spec: ModelSpec, rtx: Any, tmp_path: Path) -> None:
    both_build(rtx, exported(spec, tmp_path / "fp32.onnx").path)


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_builds(name: str, rtx: Any, tmp_path: Path) -> None:
    options = ExportOptions(weights="random", images=2)
    both_build(rtx, export(name, output=tmp_path / "fp32.onnx", options=options).path)
