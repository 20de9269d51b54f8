"""TensorRT-RTX builds in every precision also those that zoo_way.py only takes to the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.zoo import find
from tests.pipeline.building import check_builds
from tests.pipeline.zoo_way import BUILT, ONE_OF_EACH, SMALLER, exported, network_of


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in ONE_OF_EACH if name not in SMALLER and name not in BUILT]
)
def test_a_network_builds_in_every_precision(name: str, pictures: Path, tmp_path: Path) -> None:
    fp32 = exported(network_of(find(name)), tmp_path / "fp32.onnx")
    check_builds(fp32.path, pictures)
