"""Estimates: how far off they are on published figures that they have not seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.estimates import figures, is_covered, log_error
from edgecnn.devices.boards import BOARDS, find_board
from edgecnn.devices.estimate import FACTORS, KNOWN_BOARDS, Work, estimate
from edgecnn.errors import DeviceError
from edgecnn.pipeline.estimate import HELD_OUT

LAYER = Work("dense", macs=10**8, values=10**6)


def test_the_table_is_large_enough_and_each_figure_has_its_source() -> None:
    rows = figures()
    assert len(rows) >= 30
    assert {row.board for row in rows} == set(KNOWN_BOARDS)
    assert all(row.source.startswith("https://") for row in rows)
    assert len({(r.board, r.engine, r.precision, r.model, r.side) for r in rows}) == len(rows)
    held_out = sum(row.is_held_out for row in rows)
    assert 0.4 < held_out / len(rows) < 0.6


def test_the_error_on_figures_that_were_held_out() -> None:
    """What the tool and its docs say of itself, worked out again from the table."""
    unseen = [row for row in figures() if row.is_held_out]
    errors = np.abs([log_error(row) for row in unseen])
    median, worst = float(np.median(np.expm1(errors))), math.exp(errors.max())
    assert median <= 0.35
    assert worst <= 2.5
    assert sum(map(is_covered, unseen)) >= 0.8 * len(unseen)
    assert f"on {len(unseen)} published figures" in HELD_OUT
    assert f"off by {median * 100:.0f} % (median)" in HELD_OUT
    assert f"at most {worst:.2f} times" in HELD_OUT


@pytest.mark.parametrize("unit", FACTORS)
def test_factors_are_shares(unit: str) -> None:
    factors = FACTORS[unit]  # type: ignore[index]
    assert 0 < factors.memory <= 1
    assert 0 < factors.layer_s < 1e-3
    assert factors.spread > 1.2


@given(st.integers(0, 10**9), st.integers(1, 10**8))
def test_more_work_never_takes_less(macs: int, values: int) -> None:
    board = find_board("jetson-nano")
    less, more = (
        estimate(board, [Work("dense", macs * k, values * k)], precision="fp16") for k in (1, 2)
    )
    assert less.ms <= more.ms
    assert less.low_ms < less.ms < less.high_ms


def test_a_board_without_figures_of_its_own_has_a_wider_range() -> None:
    known, other = (
        estimate(find_board(name), [LAYER], precision="int8")
        for name in ("jetson-agx-xavier", "jetson-orin-nano")
    )
    assert other.high_ms / other.ms > known.high_ms / known.ms


def test_onnx_runtime_takes_longer_than_what_was_fitted_and_is_less_sure() -> None:
    board = find_board("raspberry-pi-4")
    ncnn = estimate(board, [LAYER], precision="fp32", engine="ncnn")
    ours = estimate(board, [LAYER], precision="fp32")
    assert ours.engine == "onnxruntime"
    assert ours.ms == pytest.approx(2.09 * ncnn.ms)
    assert ours.high_ms / ours.ms > ncnn.high_ms / ncnn.ms


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_what_nothing_is_known_about_is_refused(board: object) -> None:
    wanted = find_board(board.name)  # type: ignore[attr-defined]
    if wanted.name == "x86-zen5-core":
        with pytest.raises(DeviceError, match="no fp32 estimates"):
            estimate(wanted, [LAYER], precision="fp32")
    if "fp16" not in wanted.units:
        with pytest.raises(DeviceError, match="no fp16 estimates"):
            estimate(wanted, [LAYER], precision="fp16")
