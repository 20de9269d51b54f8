"""The numbers that INT8 is judged by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgecnn.graph.check import BEST_DB, Check, Judge, compare
from tests import toy

LOGITS = arrays(np.float32, (5, 4), elements=st.floats(-100, 100, width=32))


@given(LOGITS)
def test_a_model_agrees_with_itself(logits: np.ndarray) -> None:
    check = compare(logits, logits.copy())
    assert check.top1_agreement == 1
    assert check.n == 5


@given(LOGITS, st.floats(-50, 50, width=32))
def test_adding_the_same_to_all_logits_changes_nothing(logits: np.ndarray, shift: float) -> None:
    noisy = logits + np.float32(1.0) * np.arange(4, dtype=np.float32)
    shifted = compare(logits, noisy + np.float32(shift))
    assert shifted.sqnr_db == pytest.approx(compare(logits, noisy).sqnr_db, abs=0.5)


def test_sqnr_is_the_mean_of_decibels_of_the_images() -> None:
    reference = np.array([[1.0, -1.0], [1.0, -1.0]], np.float32)
    value = np.array([[1.1, -1.1], [1.01, -1.01]], np.float32)
    assert compare(reference, value).sqnr_db == pytest.approx((20 + 40) / 2, abs=1e-3)


def test_agreement_is_the_share_of_images_with_the_same_best_class() -> None:
    reference = np.eye(4, dtype=np.float32)
    value = np.eye(4, dtype=np.float32)[[0, 1, 2, 0]]
    assert compare(reference, value).top1_agreement == 0.75


def test_the_judge_runs_the_file_that_ships() -> None:
    judge = Judge(toy.plain(), toy.images(6)())
    assert judge.check(toy.plain()) == Check(BEST_DB, 1.0, 6)
    assert judge.check(toy.NETS["mean_head"]()).sqnr_db < 10
