"""The zoo's networks, built by TensorRT-RTX in every precision; that needs no GPU.

The other networks are built where test_zoo.py takes them all the way.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.zoo import ModelSpec, find
from tests.pipeline.building import check_builds
from tests.pipeline.test_zoo import ONE_OF_EACH, SMALLER, exported

QUICK = ("lenet5", "resnet20", "squeezenet1_0", "mobilenetv1")
CASES = [
    *(pytest.param(replace(find(name), **SMALLER.get(name, {})), id=name) for name in QUICK),
    *(
        pytest.param(find(name), id=f"{name} whole", marks=pytest.mark.slow)
        for name in ONE_OF_EACH
        if name not in SMALLER and name not in QUICK
    ),
]


@pytest.mark.parametrize("spec", CASES)
def test_a_network_builds_in_every_precision(spec: ModelSpec, tmp_path: Path) -> None:
    check_builds(exported(spec, tmp_path / "fp32.onnx").path)
