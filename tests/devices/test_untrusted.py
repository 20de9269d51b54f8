"""What devices say is taken with care: numbers are finite, words short, nothing steers anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.devices.untrusted import one_word, parse_json

NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(DOCUMENTS)
def test_finite_json_is_understood_as_it_is(document: object) -> None:
    text = json.dumps(document)
    assert parse_json(text, most_chars=len(text)) == document


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "-Infinity", "[1e999]", '{"wall_ns": -1e999}', "9" * 400, "[" * 100_000],
)
def test_what_is_no_finite_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text, most_chars=1 << 20)


def test_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="more than 10 characters"):
        parse_json("[1, 2, 3, 4]", most_chars=10)


@given(st.text())
def test_a_word_is_one_line_that_steers_nothing(text: str) -> None:
    word = one_word(text, most_chars=9)
    assert len(word) <= 9
    assert word.isprintable()
