"""Published weights from checkpoint to INT8: what quantization costs on a whole test set."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.datasets.calibration import open_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.measure import EvaluateOptions, evaluate
from edgecnn.pipeline.quantize import QuantizeOptions, quantize

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("EDGECNN_TEST_DATA", ROOT.parent / "shared" / "data"))
ARCHIVES = DATA / "cifar10"
WEIGHTS = DATA / "weights" / "cifar10"
FILES = {
    "resnet20": "resnet20-12fca82f.th",
    "resnet32": "resnet32-d509ac18.th",
    "resnet44": "resnet44-014dd654.th",
    "resnet56": "resnet56-4bfd9763.th",
}
CALIBRATION_IMAGES = 256

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHIVES.exists(), reason=f"{ARCHIVES} is not there"),
]


def unpack(split: str, folder: Path, count: int | None = None) -> Path:
    """The first images of a split as files named CLASS_NUMBER.png: decoding those is quick."""
    archive = np.load(ARCHIVES / f"cifar10_{split}_jpg.npz")
    blob, offsets, labels = archive["blob"], archive["offsets"], archive["labels"]
    folder.mkdir()
    for index, label in enumerate(labels[:count]):
        data = blob[offsets[index] : offsets[index + 1]].tobytes()
        Image.open(io.BytesIO(data)).save(folder / f"{label}_{index:05d}.png", compress_level=1)
    return folder


@pytest.fixture(scope="module")
def test_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("test", tmp_path_factory.mktemp("cifar") / "test")


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("train", tmp_path_factory.mktemp("cifar") / "train", CALIBRATION_IMAGES)


@pytest.mark.parametrize("name", FILES)
def test_int8_costs_less_than_a_third_of_a_point(
    name: str, test_set: Path, calibration: Path, tmp_path: Path
) -> None:
    fp32 = tmp_path / f"{name}.onnx"
    options = ExportOptions(weights=str(WEIGHTS / FILES[name]), images=8)
    export(name, output=fp32, options=options)
    int8 = quantize(fp32, open_calibration(calibration), options=QuantizeOptions()).path
    before, after = evaluate((fp32, int8), options=EvaluateOptions(data=test_set))
    assert before.n == 10_000
    assert before.top1.value - after.top1.value <= 0.003
