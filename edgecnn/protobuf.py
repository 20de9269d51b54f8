"""Just enough of the protobuf wire format to walk a message without loading it.

A message is a row of fields: a key (number << 3 | wire type), then a number or a sized payload
(https://protobuf.dev/programming-guides/encoding). Nothing here knows what a message means.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgecnn.files import read_error

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(Exception):
    """The bytes do not follow the wire format."""


class Field(NamedTuple):
    """One field: its number, its value (of a varint), its payload (of bytes), where it stands."""

    number: int
    value: int
    payload: memoryview
    start: int
    end: int


def mapped(path: Path) -> memoryview:
    """A file's bytes without reading them all; raises FileError."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise OSError(0, "not a regular file")
        with path.open("rb") as stream:
            if stream.seek(0, 2) == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise read_error(path, error) from error


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message in file order; raises MalformedError."""
    position, end, nothing = 0, len(data), data[0:0]
    while position < end:
        start = position
        key = data[position]
        if key < 0x80:  # nearly all keys and sizes are one byte: a call for each would cost most
            position += 1
        else:
            key, position = _read_varint(data, position)
        value, payload = 0, nothing
        if key & 7 == _VARINT:
            value, position = _read_varint(data, position)
        else:
            size, position = _payload_size(data, position, wire=key & 7)
            payload = data[position : position + size]
            position += size
        if key >> 3 == 0 or position > end:
            raise MalformedError("a field runs past the end")
        yield Field(key >> 3, value, payload, start, position)


def by_number(data: memoryview) -> dict[int, memoryview]:
    """The payload of each field; of a repeated one the last, as protobuf has it."""
    return {field.number: field.payload for field in fields(data)}


def integers(field: Field) -> Iterator[int]:
    """The numbers of a repeated integer field, packed or not."""
    if not len(field.payload):
        yield field.value
    position = 0
    while position < len(field.payload):
        item, position = _read_varint(field.payload, position)
        yield item


def decode(data: memoryview) -> str:
    """A text payload; raises UnicodeDecodeError."""
    return bytes(data).decode("utf-8")


def encode_bytes(number: int, payload: bytes) -> bytes:
    """A field that holds bytes, text or a message."""
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(len(payload)) + payload


def _payload_size(data: memoryview, position: int, *, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return _read_varint(data, position)
    if wire not in (_FIXED32, _FIXED64):
        raise MalformedError(f"unknown wire type {wire}")
    return (4 if wire == _FIXED32 else 8), position


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    if position < len(data) and data[position] < 0x80:
        return data[position], position + 1
    while True:
        if position >= len(data) or shift > 63:
            raise MalformedError("a number runs past the end")
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
