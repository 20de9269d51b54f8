"""Detectors in TensorRT-RTX, at full size; the other networks are built where they are tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.zoo import find, names
from tests.pipeline.building import check_builds

DETECTORS = [name for name in names() if find(name).task == "detection"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_builds(name: str, tmp_path: Path) -> None:
    options = ExportOptions(weights="random", images=2)
    check_builds(export(name, output=tmp_path / "fp32.onnx", options=options).path)
