"""Copies are found by their fingerprints, within a set and between two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.datasets.duplicates import (
    NEAR,
    fingerprint,
    kindred,
    leaders,
    near_any,
    near_duplicates,
)
from edgecnn.datasets.images import grey, grey_thumbnail
from edgecnn.datasets.natural import natural_image

# Few different bytes, so that near and far pairs both come up.
PRINTS = st.lists(
    st.lists(st.sampled_from([0, 1, 7, 255]), min_size=8, max_size=8).map(bytes), max_size=30
)


def distance(one: bytes, other: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


@given(PRINTS, st.integers(0, 64))
def test_leaders_are_far_apart_and_near_everybody(prints: list[bytes], within: int) -> None:
    chosen = leaders(prints, within=within)
    kept = [prints[place] for place in chosen]
    assert all(distance(a, b) > within for i, a in enumerate(kept) for b in kept[:i])
    assert all(any(distance(print_, a) <= within for a in kept) for print_ in prints)
    assert list(chosen) == sorted(chosen)


@given(PRINTS, PRINTS)
def test_what_two_sets_share_is_what_lies_near(prints: list[bytes], others: list[bytes]) -> None:
    expected = [any(distance(a, b) <= NEAR for b in others) for a in prints]
    assert near_any(prints, others).tolist() == expected


def test_a_darker_copy_is_near_and_another_picture_is_not() -> None:
    def print_of(index: int, *, darker: bool = False) -> bytes:
        image = natural_image(index, height=96, width=128, seed=1)
        values = grey(image)
        return fingerprint(grey_thumbnail(values // 2 if darker else values, size=(8, 9)))

    originals = [print_of(index) for index in range(10)]
    copies = [print_of(index, darker=True) for index in range(10)]
    assert near_duplicates(originals) == 0
    assert near_duplicates([*originals, *copies]) == 10
    assert near_any(copies, originals[:5]).tolist() == [True] * 5 + [False] * 5


@given(PRINTS, st.integers(0, 64))
def test_kin_are_those_that_a_chain_of_near_ones_joins(prints: list[bytes], within: int) -> None:
    expected = list(range(len(prints)))
    for _ in prints:  # a chain is at most as long as the list
        expected = [
            min(expected[j] for j, other in enumerate(prints) if distance(print_, other) <= within)
            for print_ in prints
        ]
    assert kindred(prints, within=within).tolist() == expected
