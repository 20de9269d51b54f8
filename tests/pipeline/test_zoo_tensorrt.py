"""The zoo's networks, built by TensorRT-RTX in every precision; that needs no GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.zoo import ModelSpec, find
from tests.pipeline.building import check_builds, check_builds_int8
from tests.pipeline.test_zoo import ALL, SMALLER, exported

QUICK = ("lenet5", "resnet20", "squeezenet1_1", "mobilenetv1")
CASES = [
    *(pytest.param(replace(find(name), **SMALLER.get(name, {})), id=name) for name in QUICK),
    *(
        pytest.param(find(name), id=f"{name} whole", marks=pytest.mark.slow)
        for name in ALL
        if name not in QUICK or name in SMALLER
    ),
]


@pytest.mark.parametrize("spec", CASES)
def test_a_network_builds_in_every_precision(spec: ModelSpec, tmp_path: Path) -> None:
    fp32 = exported(spec, tmp_path / "fp32.onnx").path
    check_builds(fp32)
    options = QuantizeOptions(effort="fast", method="minmax", target="tensorrt")
    int8 = quantize(fp32, find_calibration("natural:16", seed=0), options=options)
    check_builds_int8(int8.path)
