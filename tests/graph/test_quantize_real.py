"""Real weights and photographs: what the toys cannot show. Runs where the test data lies."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Preprocess
from edgecnn.datasets.images import image_paths, read_image
from edgecnn.graph.check import Judge
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.saturation import local_target
from edgecnn.runtime.preprocess import preprocess
from tests.graph.running import optimized_ops
from tests.toy import Float

pytestmark = pytest.mark.slow

TENSORFLOW = Preprocess(size=(224, 224), crop_fraction=0.875, scale=1 / 127.5, mean=(1.0, 1.0, 1.0))


@functools.cache
def data() -> Path:
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("EDGECNN_TEST_DATA", default))
    if not (folder / "imagenet").is_dir():
        pytest.skip(f"no test data in {folder} (EDGECNN_TEST_DATA names the folder)")
    return folder


def photographs(folder: str, count: int) -> Iterator[Float]:
    paths = image_paths(data() / "imagenet" / folder)
    step = max(1, len(paths) // count)
    for path in itertools.islice(paths, 0, count * step, step):
        yield np.asarray(preprocess(read_image(path), TENSORFLOW), np.float32)


BARS = {
    # network, effort: least SQNR in dB, least share of equal answers
    ("mobilenet_v1_0.25_224", "fast"): (22.0, 0.89),
    ("mobilenet_v1_0.25_224", "default"): (23.3, 0.90),
    ("mobilenet_v2_1.0_224_dequantised", "default"): (22.5, 0.95),
}


@pytest.mark.parametrize(("name", "effort"), sorted(BARS))
def test_networks_that_int8_ruins_elsewhere(name: str, effort: str, tmp_path: Path) -> None:
    """Rounding to nearest alone leaves MobileNetV1 at 13 dB and 79 %."""
    path = data() / "weights" / "imagenet" / f"{name}.onnx"
    quantized = quantize_model(path, lambda: photographs("calibration", 160), effort=effort)
    check = Judge(path, photographs("ccby", 300)).check(quantized.model)
    least_db, least_agreement = BARS[name, effort]
    assert check.sqnr_db >= least_db
    assert check.top1_agreement >= least_agreement
    ops = optimized_ops(quantized.model, tmp_path)
    assert ops["Conv"] == local_target().float_stem, "only the first layer may be in float"
    assert ops["Clip"] == ops["Relu"] == 0
    assert ops["QuantizeLinear"] == ops["DequantizeLinear"] == 1
