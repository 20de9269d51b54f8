"""Just enough of the FlatBuffers format to write one (https://flatbuffers.dev/internals).

A table is a row of slots, of which any may be missing; whatever is no number lies behind it and is
reached by an offset. Nothing here knows what a table means.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_OFFSET_BYTES = 4


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a table: `format` is struct's, as `i` for an int32."""

    format: str
    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """Numbers in a row, at a multiple of `align` bytes where their own size is not enough."""

    values: NDArray[Any]
    align: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """What stands in each slot; an enum's value is a number of one byte or four."""

    slots: Mapping[int, Field]


Field: TypeAlias = "Number | Vector | Table | str | Sequence[Table]"


def write_flatbuffer(root: Table, *, identifier: bytes) -> bytes:
    """A whole file with its four bytes of identifier."""
    writer = _Writer(identifier)
    writer.reach(0, root)
    return bytes(writer.data)


class _Writer:
    """Writes front to back: what a field points to comes after the field, as offsets demand."""

    def __init__(self, identifier: bytes) -> None:
        self.data = bytearray(_OFFSET_BYTES) + identifier

    def reach(self, place: int, field: Field) -> None:
        """Write what a field points to, and in its place how far away that is."""
        if isinstance(field, Table):
            start = self._table(field)
        elif isinstance(field, Vector):
            start = self._vector(field)
        elif isinstance(field, str):
            start = self._vector(Vector(np.frombuffer(field.encode(), np.uint8)))
            self.data.append(0)
        elif not isinstance(field, Number):
            start = self._tables(field)
        struct.pack_into("<I", self.data, place, start - place)

    def _table(self, table: Table) -> int:
        offsets, size_bytes = _layout(table)
        vtable_bytes = 2 * (2 + len(offsets))
        self._pad(_OFFSET_BYTES, before=vtable_bytes)
        self.data += struct.pack(f"<{2 + len(offsets)}H", vtable_bytes, size_bytes, *offsets)
        start = len(self.data)
        self.data += struct.pack("<i", vtable_bytes) + bytes(size_bytes - _OFFSET_BYTES)
        for slot, field in table.slots.items():
            place = start + offsets[slot]
            if isinstance(field, Number):
                struct.pack_into(f"<{field.format}", self.data, place, field.value)
            else:
                self.reach(place, field)
        return start

    def _vector(self, vector: Vector) -> int:
        values = vector.values
        self._pad(max(values.itemsize, _OFFSET_BYTES, vector.align), before=_OFFSET_BYTES)
        start = len(self.data)
        self.data += struct.pack("<I", values.size)
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        self.data += np.ascontiguousarray(little).data.cast("B") if values.size else b""
        return start

    def _tables(self, tables: Sequence[Table]) -> int:
        self._pad(_OFFSET_BYTES)
        start = len(self.data)
        self.data += struct.pack("<I", len(tables)) + bytes(_OFFSET_BYTES * len(tables))
        for index, table in enumerate(tables, start=1):
            self.reach(start + _OFFSET_BYTES * index, table)
        return start

    def _pad(self, align: int, *, before: int = 0) -> None:
        """Zeros, so that what follows `before` more bytes is aligned."""
        self.data += bytes(-(len(self.data) + before) % align)


def _layout(table: Table) -> tuple[list[int], int]:
    """Where each slot stands in its table (0: nowhere), and the bytes of the whole."""
    offsets, end = [0] * (max(table.slots, default=-1) + 1), _OFFSET_BYTES
    for slot, field in table.slots.items():
        size = struct.calcsize(field.format) if isinstance(field, Number) else _OFFSET_BYTES
        end += -end % size
        offsets[slot], end = end, end + size
    return offsets, end + -end % _OFFSET_BYTES
