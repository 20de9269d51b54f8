"""What bounds a layer on a board: arithmetic, memory, or being started at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.devices.boards import BOARDS, Board, find_board
from edgecnn.devices.roofline import roof
from edgecnn.errors import DeviceError

BOARD = Board(
    name="toy",
    title="a board of round numbers",
    macs_per_s={"fp32": 1e9, "int8": 4e9},
    bytes_per_s=1e9,
    launch_s=1e-5,
    units={"fp32": "arm", "int8": "arm int8"},
    sources=("made up",),
)


def test_many_products_of_few_values_are_bound_by_compute() -> None:
    found = roof(BOARD, macs=10**9, values=10**6)
    assert found.limit == "compute"
    assert found.least_s == pytest.approx(1.0)


def test_each_value_used_once_is_bound_by_memory() -> None:
    """A linear layer of one image: four bytes for each product."""
    found = roof(BOARD, macs=10**6, values=10**6)
    assert found.limit == "memory"
    assert found.least_s == pytest.approx(4e-3)


def test_next_to_nothing_is_bound_by_its_launch() -> None:
    found = roof(BOARD, macs=100, values=100)
    assert (found.limit, found.least_s) == ("launch", 1e-5)


def test_int8_moves_a_quarter() -> None:
    fp32, int8 = (roof(BOARD, macs=0, values=10**6, precision=p) for p in ("fp32", "int8"))
    assert fp32.memory_s == 4 * int8.memory_s


@given(st.integers(0, 10**12), st.integers(0, 10**9))
def test_the_ridge_parts_compute_from_memory(macs: int, values: int) -> None:
    """Right of peak / bandwidth in products a byte, compute is the limit; left of it, memory."""
    found = roof(BOARD, macs=macs, values=values)
    if found.limit != "launch":
        assert (found.limit == "compute") == (macs >= 4 * values)
    assert found.least_s == max(found.compute_s, found.memory_s, found.launch_s)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_board_says_where_its_figures_are_from(board: Board) -> None:
    assert find_board(board.name.upper()) is board
    for what in ("memory", "launch"):
        assert any(what in source for source in board.sources)
    assert board.macs_per_s["int8"] > board.macs_per_s["fp32"] > board.bytes_per_s / 4
    assert board.units.keys() == board.macs_per_s.keys()


def test_published_peaks_come_out() -> None:
    """40 sparse TOPS are 20 dense ones are 10 tera-MAC; a Pi's four cores do 76.8 GMAC/s."""
    assert find_board("jetson-orin-nano").macs_per_s["int8"] == 10e12
    assert find_board("raspberry-pi-5").macs_per_s["fp32"] == pytest.approx(76.8e9)


def test_an_unknown_board_is_answered_with_the_nearest() -> None:
    with pytest.raises(DeviceError, match="named 'jetson-orin-nono'") as caught:
        find_board("jetson-orin-nono")
    assert "did you mean jetson-orin-nano?" in caught.value.hint


def test_a_family_stands_for_its_common_board() -> None:
    assert find_board("jetson").name == "jetson-orin-nano"
    assert find_board("raspberry-pi").name == "raspberry-pi-5"
