"""What the benchmark of INT8's accuracy makes of its scores."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import OURS, Score, judge_no_worse, paired
from benchmarks.accuracy_networks import NETWORKS
from edgecnn.zoo import find

IMAGES = 1000


def score(missed: range, sqnr_db: float = 20.0, drop: float = 0.0) -> Score:
    """Of a file that disagrees with FP32 on these images."""
    agrees = np.ones(IMAGES, np.bool_)
    agrees[list(missed)] = False
    return {
        "sqnr_db": sqnr_db,
        "agreement": 100 * agrees.mean(),
        "drop": drop,
        "n": IMAGES,
        "agrees": np.packbits(agrees).tobytes().hex(),
    }


def test_a_lead_is_counted_image_by_image() -> None:
    lead = paired(score(range(20)), score(range(10, 60)))
    assert lead is not None
    assert lead.value == pytest.approx(3.0)  # 40 images that we alone agree on, 10 that it does
    assert lead.low > 0
    alike = paired(score(range(20)), score(range(20, 40)))
    assert alike is not None
    assert alike.low < 0 < alike.high
    assert paired(score(range(5)), {"sqnr_db": 1.0}) is None


@pytest.mark.parametrize(
    ("ours", "peer", "held"),
    [
        (score(range(30)), score(range(20, 45)), True),
        (score(range(60)), score(range(10)), False),
        (score(range(10), sqnr_db=19.0), score(range(10)), False),
        (score(range(30), drop=1.2), score(range(30)), False),
    ],
)
def test_no_worse_means_within_the_noise(ours: Score, peer: Score, held: bool) -> None:
    scores = {OURS: ours, "peer": peer}
    assert judge_no_worse(scores, scores, "u8")[1] is held


def test_every_network_is_a_file_or_one_of_the_zoo() -> None:
    for network in NETWORKS.values():
        assert network.file.endswith(".onnx") or find(network.zoo).name == network.zoo
        assert network.evaluated
