"""Pictures for people: contact sheets, and thumbnails that travel inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from edgecnn.files import atomic_path
from edgecnn.runtime.preprocess import Image

_GAP = 4  # pixels between pictures
_PAPER = 255


def fitted(image: Image, side: int) -> Image:
    """An image, uint8 (height, width, 3), shrunk so that no side is longer than `side`."""
    picture = PIL.Image.fromarray(image)
    picture.thumbnail((side, side))
    return np.asarray(picture)


def contact_sheet(rows: Sequence[Sequence[Image]], *, side: int = 160) -> Image:
    """Rows of pictures on white paper, each shrunk to at most `side` pixels."""
    columns = max(len(row) for row in rows)
    step = side + _GAP
    shape = (len(rows) * step + _GAP, columns * step + _GAP, 3)
    sheet = np.full(shape, _PAPER, np.uint8)
    for down, row in enumerate(rows):
        for right, image in enumerate(row):
            small = fitted(image, side)
            top, left = _GAP + down * step, _GAP + right * step
            sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    return sheet


def save_picture(image: Image, target: Path) -> None:
    """Write a PNG atomically; raises FileError."""
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        PIL.Image.fromarray(image).save(stream, format="PNG")


def data_uri(image: Image, *, side: int) -> str:
    """A thumbnail as the address of an <img>: a JPEG inside the page itself."""
    stream = io.BytesIO()
    PIL.Image.fromarray(fitted(image, side)).save(stream, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
