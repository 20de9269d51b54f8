"""Ticks that read well and labels that do not cover each other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.profiling.report.layout import Dot, label_box, log_ticks, place_labels


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1.8, 230, [2, 5, 10, 20, 50, 100, 200]),
        (0.9, 1200, [1, 3, 10, 30, 100, 300, 1000]),
        (3.5, 9, [4, 5, 6, 7, 8, 9]),
    ],
)
def test_ticks_are_round_and_about_evenly_spaced(
    low: float, high: float, ticks: list[float]
) -> None:
    found = log_ticks(low, high)
    assert set(ticks) <= set(found)
    assert len(found) <= len(ticks) + 2


@given(st.floats(0.001, 1e5), st.floats(1.05, 1e4))
def test_ticks_lie_within_and_rise(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert all(low <= tick <= low * factor for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_a_label_stands_beside_its_dot() -> None:
    dot = Dot(200, 100, 8)
    (placed,) = place_labels(["resnet18"], [[dot]], width=600, height=300)
    assert placed.side == "above right"
    assert label_box("resnet18", dot, placed.side).within(600, 300)


def test_neighbours_do_not_cover_each_other() -> None:
    names = ["googlenet", "resnet18", "mobilenetv2"]
    dots = [[Dot(300 + 12 * index, 150 + 4 * index, 6)] for index in range(3)]
    placed = place_labels(names, dots, width=600, height=300)
    boxes = [
        label_box(name, group[place.dot], place.side)
        for name, group, place in zip(names, dots, placed, strict=True)
    ]
    assert not any(a.hits(b) for a, b in itertools.combinations(boxes, 2))


def test_a_label_at_the_edge_turns_inwards() -> None:
    (placed,) = place_labels(["efficientnet_lite0"], [[Dot(590, 150, 6)]], width=600, height=300)
    assert placed.side.endswith("left")


def test_the_other_dot_of_a_network_is_used_where_the_first_is_hemmed_in() -> None:
    hemmed = [Dot(300, 150, 6), Dot(500, 60, 6)]
    crowd = [[Dot(x, y, 12)] for x in range(240, 380, 20) for y in range(110, 200, 20)]
    placed = place_labels(
        ["mobilenetv2", *("" for _ in crowd)], [hemmed, *crowd], width=600, height=300
    )
    assert placed[0].dot == 1
