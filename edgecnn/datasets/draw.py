"""Answers written into a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from edgecnn.runtime.preprocess import Image

_COLOR = (255, 214, 0)
_SHADE = (0, 0, 0)


def annotated(
    image: Image, lines: Sequence[tuple[str, float]], boxes: Sequence[Sequence[float]] = ()
) -> Image:
    """A copy of an RGB image with names and shares of 1 in its corner, or beside their boxes.

    `boxes` are left, top, right, bottom in pixels, one for each line, or none at all.
    """
    picture = PIL.Image.fromarray(np.ascontiguousarray(image).view(np.ndarray))
    pen = PIL.ImageDraw.Draw(picture)
    size = max(10, picture.height // 24)
    font = PIL.ImageFont.load_default(size)
    for place, (name, share) in enumerate(lines):
        corner = (size / 2, size / 2 + 1.3 * size * place)
        if boxes:
            left, top, right, bottom = boxes[place]
            pen.rectangle((left, top, right, bottom), outline=_COLOR, width=max(1, size // 8))
            corner = (left + size / 4, top)
        text = f"{name} {share:.2f}"
        pen.text(corner, text, _COLOR, font, stroke_width=max(1, size // 10), stroke_fill=_SHADE)
    return np.array(picture, dtype=np.uint8)
