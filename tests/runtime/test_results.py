"""What an output means, told by its shape."""

from __future__ import annotations

import pytest

from edgecnn.runtime.results import is_map


@pytest.mark.parametrize(
    "shape",
    [(1, 21, 65, 65), ("N", 21, "h", "w"), (4, 1, 65, 65), (1, 21, 1, 65), (1, 21, 65, 1)],
)
def test_a_class_for_each_place_is_a_map(shape: tuple[int | str, ...]) -> None:
    assert is_map(shape)


@pytest.mark.parametrize(
    "shape",
    [(1, 1000), (1, 1000, 1, 1), (1, 1, 1, 1000), (1, 1, 1, 1), (1, 3234, 91), ("N", "?"), ()],
)
def test_one_row_of_classes_is_none(shape: tuple[int | str, ...]) -> None:
    assert not is_map(shape)
