"""Weights outside their ONNX file: what a tensor says of their place is checked before it is read.

The entries of `external_data`: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgecnn.errors import ModelError

_DAMAGED = "copy or export the model again, with the file of its weights"


def external_file(
    path: Path, tensor: str, entries: Mapping[str, str], *, claimed_bytes: int | None
) -> str:
    """The location, relative to the model's folder, of the file that holds a tensor's weights.

    `claimed_bytes` is the size by type and shape, None where the type's is not known. Raises
    ModelError for a file outside the model's folder or none at all, and for bytes that it does not
    have or that are not as many as the tensor claims.
    """
    location = entries.get("location", "")
    target = _target(path, location)
    offset = _number(path, tensor, entries, "offset")
    length = _number(path, tensor, entries, "length")
    told = f"{path}: tensor {tensor[:60]!r}"
    if length is not None and claimed_bytes is not None and length != claimed_bytes:
        raise ModelError(
            f"{told} claims {claimed_bytes} bytes, {location[:80]!r} is to give {length}",
            hint=_DAMAGED,
        )
    start = offset or 0
    end = start + (length if length is not None else claimed_bytes or 0)
    size_bytes = target.stat().st_size
    if end > size_bytes:
        raise ModelError(
            f"{told} lies in bytes {start} to {end} of {location[:80]!r}, which has {size_bytes}",
            hint=_DAMAGED,
        )
    return location


def _target(path: Path, location: str) -> Path:
    folder = path.resolve().parent
    target = (folder / location).resolve()
    if not location or not target.is_relative_to(folder):
        raise ModelError(
            f"{path}: keeps weights outside its own folder ({location[:80]!r})",
            hint="a model must not read files elsewhere: save it as one file",
        )
    if not target.is_file():
        raise ModelError(
            f"{path}: its weights file {location[:80]!r} is missing", hint="put it beside the model"
        )
    return target


def _number(path: Path, tensor: str, entries: Mapping[str, str], key: str) -> int | None:
    """A count of bytes, None where it is not said."""
    text = entries.get(key)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ModelError(
            f"{path}: tensor {tensor[:60]!r} has the {key} {text[:20]!r} in "
            f"{entries['location'][:80]!r}, which is no number of bytes",
            hint=_DAMAGED,
        )
    return int(text)
