"""The colour order is judged by how sure the network is, image by image, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.contract import Layout, Preprocess
from edgecnn.datasets.natural import natural_image
from edgecnn.pipeline.colors import color_order, exchanged
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.results import softmax


def answers(count: int, sharpness: float, *, seed: int) -> list[np.typing.NDArray[np.float64]]:
    return list(softmax(sharpness * np.random.default_rng(seed).standard_normal((count, 10))))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_exchanging_in_the_tensor_is_exchanging_in_the_image(layout: Layout, color: str) -> None:
    spec = Preprocess(
        size=(32, 40),
        layout=layout,
        color=color,  # type: ignore[arg-type]
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    image = natural_image(0, height=48, width=64, seed=0)
    turned = np.ascontiguousarray(image[:, :, ::-1])
    found = exchanged(preprocess(image, spec), spec)
    np.testing.assert_allclose(found, preprocess(turned, spec), atol=1e-5)
    assert found.flags.c_contiguous
    assert found.dtype == np.float32


def test_the_surer_order_is_the_right_one() -> None:
    sure, unsure = answers(64, 4, seed=1), answers(64, 2, seed=2)
    right, wrong = color_order(sure, unsure), color_order(unsure, sure)
    assert right is not None
    assert wrong is not None
    assert (right.verdict, wrong.verdict) == ("fits", "exchanged")
    assert right.confidence > right.exchanged_confidence
    assert right.surer_nats.value == pytest.approx(-wrong.surer_nats.value)


def test_without_a_difference_it_hardly_ever_claims_one() -> None:
    """At 99 %: of 400 comparisons of the same with the same, four in expectation."""
    claims = 0
    for seed in range(400):
        found = color_order(answers(32, 3, seed=2 * seed), answers(32, 3, seed=2 * seed + 1))
        assert found is not None
        claims += found.verdict != "cannot tell"
    assert claims <= 12


def test_grey_images_say_nothing() -> None:
    same = answers(20, 3, seed=0)
    assert color_order(same, same) is None
    assert color_order(same[:3], answers(3, 1, seed=1)) is None
