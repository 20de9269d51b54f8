"""The page about the zoo says what the zoo is."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.zoo import find, names
from edgecnn.zoo.describe import describe

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"


def table() -> dict[str, list[str]]:
    """The rows of the page's first table by name."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines()]
    return {row[0].strip("`"): row for row in rows if len(row) == 6}


def test_every_network_is_on_the_page() -> None:
    assert list(table())[1:] == list(names())


@pytest.mark.parametrize("name", names())
def test_its_figures_are_those_of_edgecnn_models(name: str) -> None:
    row = describe(find(name))
    top1 = f"{row.published.top1:.2f} %" if row.published else "–"
    shape = "x".join(map(str, row.input[1:]))
    assert table()[name][1:5] == [
        f"{row.parameters / 1e6:.2f} M",
        f"{row.macs / 1e6:.2f} M",
        shape,
        top1,
    ]


def test_what_can_be_asked_for_is_listed() -> None:
    assert describe(find("resnet50")).weights == ("official:v2", "official:v1")
    assert describe(find("lenet5")).weights == ()
    (lite,) = describe(find("efficientnet_lite0")).weights
    assert lite.removeprefix("package ") in PAGE.read_text()
