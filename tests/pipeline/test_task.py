"""The images of a quantization: most teach, a fifth judges, and no image does both."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgecnn.graph.quantize import quantize_model
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.frames import HELD_OUT_SHARE, Frames
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from tests import toy

COUNT = 30
PREPARED = ContractOptions(mean=(0.5,), std=(0.25,))


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "net.onnx"
    onnx.save(toy.plain(), path)
    return path


def test_most_images_teach_and_the_others_judge(network: Path) -> None:
    images = find_calibration(f"natural:{COUNT}")
    made = quantize(
        network, images, options=QuantizeOptions(effort="fast", contract=PREPARED)
    ).quantized
    to_fit, aside = images.split(HELD_OUT_SHARE, seed=0)
    assert not set(to_fit.digests) & set(aside.digests)
    contract = contract_of(network, PREPARED)
    taught, judged = (Frames(part, contract).tensors for part in (to_fit, aside))
    wanted = quantize_model(
        network, taught, held_out=judged, effort="fast", calibration_sha256=images.sha256
    )
    assert made.check == wanted.check
    assert made.ranges == wanted.ranges
    assert made.check.n == COUNT * HELD_OUT_SHARE
