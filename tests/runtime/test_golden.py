"""The golden check: what a device must answer to prove itself."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.runtime.golden import golden_image, make_golden, verify
from edgecnn.runtime.preprocess import Image

PICTURES = [np.full((4, 4, 3), value, np.uint8) for value in (10, 200, 90)]


def sure_of_bright(image: Image) -> np.ndarray:
    lead = image.mean() / 255
    return np.array([lead, 0.0, -1.0], np.float32)


def test_the_picture_whose_best_class_leads_by_most_is_taken() -> None:
    golden = make_golden(PICTURES, sure_of_bright, precision="fp32")
    assert (golden_image(golden) == 200).all()
    assert verify(golden, sure_of_bright).passed


def test_a_lead_counts_in_the_outputs_own_units() -> None:
    """A picture that stirs nothing leads by most of its spread, and any rounding changes that."""

    def stirred_by_bright(image: Image) -> np.ndarray:
        return np.array([1.0, 0.0]) * 0.01 if image.mean() < 150 else np.array([5.0, 2.0, 0.0])

    golden = make_golden(PICTURES, stirred_by_bright, precision="int8")
    assert (golden_image(golden) == 200).all()


def test_another_best_within_the_tolerance_fails_a_class_and_not_a_map() -> None:
    golden = make_golden(PICTURES[:1], lambda _: np.array([1.0, 0.999, 0.0]), precision="int8")
    swapped = np.array([0.999, 1.0, 0.0])
    assert not verify(golden, lambda _: swapped).passed
    assert verify(golden, lambda _: swapped, same_best=False).passed


@pytest.mark.parametrize("same_best", [True, False])
def test_other_values_fail_whatever_is_best(same_best: bool) -> None:
    golden = make_golden(PICTURES[:1], lambda _: np.array([1.0, 0.5, 0.0]), precision="int8")
    assert not verify(golden, lambda _: np.array([1.2, 0.5, 0.0]), same_best=same_best).passed
