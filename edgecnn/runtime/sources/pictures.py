"""A folder of images, or one image, as a source of frames; Pillow reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from edgecnn.errors import DataError
from edgecnn.runtime.preprocess import Image

EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"))


def pictures(path: Path) -> Iterator[Image]:
    """The images of a folder in natural order, or the one image; upright, uint8 RGB.

    Raises DataError where there is none, or one cannot be read.
    """
    found = sorted(_images(path), key=_natural_order) if path.is_dir() else [path]
    if not found:
        raise DataError(f"{path}: no images in it", hint="name another folder")
    return (_read(item) for item in found)


def _images(folder: Path) -> Iterator[Path]:
    return (item for item in folder.iterdir() if item.suffix.lower() in EXTENSIONS)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    pieces = re.split(r"([0-9]+)", path.name)
    return [(int(piece), "") if piece.isdecimal() else (0, piece) for piece in pieces]


def _read(path: Path) -> Image:
    try:
        with PIL.Image.open(path) as picture:
            upright = PIL.ImageOps.exif_transpose(picture)
            return np.array(upright.convert("RGB"), dtype=np.uint8)
    except Exception as error:  # a plugin raises whatever its parser tripped over
        raise DataError(
            f"{path}: not a whole image ({' '.join(str(error).split()):.80})",
            hint="replace the file or take it out of the folder",
        ) from error
