"""The file format of TFLite models is written as its official reader reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.runtime.engines.tflite.flatbuffer import Number, Table, Vector, write_flatbuffer

NUMBERS = st.one_of(
    st.builds(Number, st.just("b"), st.integers(-128, 127)),
    st.builds(Number, st.just("?"), st.integers(0, 1)),
    st.builds(Number, st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.builds(Number, st.just("f"), st.floats(width=32, allow_nan=False)),
)
DTYPES = st.sampled_from(["u1", "<i4", "<i8", "<f4"])
VECTORS = st.builds(
    lambda dtype, count, align: Vector(np.arange(count, dtype=dtype), align=align),
    DTYPES, st.integers(0, 9), st.sampled_from([1, 16]),
)  # fmt: skip
FIELDS = st.one_of(NUMBERS, VECTORS, st.text("aé木", max_size=9))
TABLES: st.SearchStrategy[Table] = st.recursive(
    st.builds(Table, st.dictionaries(st.integers(0, 5), FIELDS, max_size=4)),
    lambda inner: st.builds(
        Table,
        st.dictionaries(
            st.integers(0, 5), st.one_of(FIELDS, inner, st.lists(inner, max_size=3)), max_size=4
        ),
    ),
    max_leaves=8,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
@given(TABLES)
def test_whatever_is_written_the_official_reader_reads(root: Table) -> None:
    flatbuffers = pytest.importorskip("flatbuffers")
    written = write_flatbuffer(root, identifier=b"TEST")
    assert written[4:8] == b"TEST"
    start = int.from_bytes(written[:4], "little")
    check_table(flatbuffers, flatbuffers.table.Table(bytearray(written), start), root)


def check_table(flatbuffers: Any, read: Any, wanted: Table) -> None:
    for slot in range(7):
        offset = read.Offset(4 + 2 * slot)
        assert bool(offset) == (slot in wanted.slots)
        if offset:
            check_field(flatbuffers, read, read.Pos + offset, wanted.slots[slot])


def check_field(flatbuffers: Any, read: Any, place: int, wanted: Any) -> None:
    if isinstance(wanted, Number):
        size = np.dtype(wanted.format).itemsize
        assert place % size == 0
        assert np.frombuffer(read.Bytes[place : place + size], wanted.format)[0] == wanted.value
    elif isinstance(wanted, Table):
        check_table(flatbuffers, flatbuffers.table.Table(read.Bytes, read.Indirect(place)), wanted)
    elif isinstance(wanted, str):
        assert read.String(place).decode() == wanted
    elif isinstance(wanted, Vector):
        start, count = read.Vector(place - read.Pos), read.VectorLen(place - read.Pos)
        assert start % max(wanted.values.itemsize, wanted.align) == 0
        found = np.frombuffer(bytes(read.Bytes), wanted.values.dtype, count, start)
        np.testing.assert_array_equal(found, wanted.values)
    else:
        start, count = read.Vector(place - read.Pos), read.VectorLen(place - read.Pos)
        assert count == len(wanted)
        for index, each in enumerate(wanted):
            inner = read.Indirect(start + 4 * index)
            check_table(flatbuffers, flatbuffers.table.Table(read.Bytes, inner), each)
