"""One network of each family in LiteRT, FP32 and INT8 for each target, beside ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.datasets.natural import natural_images
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.runtime import load
from edgecnn.zoo import ModelSpec, find
from tests import requirements
from tests.graph.running import sqnr_db
from tests.pipeline.zoo_way import ONE_OF_EACH, SMALLER, exported, network_of

Float = NDArray[np.float32]

TARGETS = ("onnxruntime-x86", "onnxruntime-arm", "tensorrt")
QUICK = ("lenet5", "efficientnet_b0")
SLOW = pytest.mark.slow
CASES = [
    *(
        pytest.param(replace(find(name), **SMALLER.get(name, {})), TARGETS[:1], id=f"{name} quick")
        for name in QUICK
    ),
    *(
        pytest.param(replace(find(name), **changes), TARGETS, id=f"{name} small", marks=SLOW)
        for name, changes in ONE_OF_EACH.items()
    ),
]
SHORT_OF_RIGHT_DB = 3.0
# A golden check allows 0.05 of the spread, which is some 6.5 deviations of 1000 outputs; their
# largest error is some 3.3 deviations of the noise. So noise of a tenth, 20 dB, just passes.
GOLDEN_DB = 20.0


@pytest.mark.parametrize(("spec", "targets"), CASES)
def test_a_network_answers_as_in_onnxruntime(
    spec: ModelSpec, targets: tuple[str, ...], tmp_path: Path
) -> None:
    """FP32 but for the order of sums; INT8 as near as rounding at other places allows.

    Two engines that round the same file rightly are each as far from FP32 as INT8 is, and their
    errors add up: twice the noise, 3 dB, lies between them.
    """
    requirements.litert()
    fp32 = exported(network_of(spec), tmp_path / "fp32.onnx").path
    plain = answers(fp32, "onnxruntime")
    assert sqnr_db(plain, answers(fp32, "litert")) > 80
    images = find_calibration("natural:16", seed=0)
    for target in targets:
        int8 = tmp_path / f"{target}.onnx"
        options = QuantizeOptions(effort="fast", method="minmax", target=target)
        quantize(fp32, images, options=options, output=int8)
        wanted, given = answers(int8, "onnxruntime"), answers(int8, "litert")
        off_db = sqnr_db(plain, wanted)
        with load(int8, engine="litert", threads=1, check=False) as model:
            found = model.verify()
        if spec.task != "segmentation":  # no pixel of a map leads
            assert found.answered == found.expected
        assert found.passed or off_db < GOLDEN_DB + SHORT_OF_RIGHT_DB, "random weights alone fail"
        assert sqnr_db(wanted, given) > off_db - SHORT_OF_RIGHT_DB
        assert sqnr_db(plain, given) > off_db - SHORT_OF_RIGHT_DB


def answers(path: Path, engine: str) -> Float:
    """All outputs on four images, each centred."""
    with load(path, engine=engine, threads=1, check=False) as model:
        height, width = model.contract.preprocess.size
        images = natural_images(4, height=height, width=width, seed=3)
        made = [model.outputs(model.preprocess(image)) for image in images]
    return np.concatenate([(each - each.mean()).ravel() for outputs in made for each in outputs])
