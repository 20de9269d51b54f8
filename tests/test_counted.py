"""One thing is one thing, and two are two."""

from __future__ import annotations

import pytest

from edgecnn.counted import counted


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")]
)
def test_things_are_counted_as_one_says_it(count: int, told: str) -> None:
    assert counted(count, "file") == told


def test_some_words_are_others_of_many() -> None:
    assert [counted(count, "was", "were") for count in (1, 2)] == ["1 was", "2 were"]
