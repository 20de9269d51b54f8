"""Several looks at an image: crops and mirror images, whose answers are averaged.

Krizhevsky et al. 2012, section 4.1: the four corners and the centre, and the same mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.runtime.preprocess import (
    Given,
    Image,
    Tensor,
    picture,
    preprocess,
    resized,
    settled,
    uncropped,
)

Views = Literal["centre", "flip", "five", "ten"]


def views_of(given: Given, spec: Preprocess, views: Views) -> tuple[Tensor, ...]:
    """An image through a preprocessing in several views; the first is the one that ships.

    Raises UsageError for crops of a network that sees the whole image, for other views of a sound
    than the one, and for unknown views.
    """
    if views not in get_args(Views):
        raise UsageError(f"unknown views {views!r}", hint=f"one of: {', '.join(get_args(Views))}")
    if views == "centre":
        return (preprocess(given, spec),)
    if spec.melspectrogram is not None:
        raise UsageError(
            f"a sound has no other views: --views {views} is for photos", hint="--ensemble"
        )
    image = picture(given, spec)
    if views == "flip":
        return (preprocess(image, spec), preprocess(_mirrored(image), spec))
    crops = tuple(_corners(image, spec))
    sized = settled(spec)
    first = preprocess(image, spec)
    if views == "five":
        return (first, *(preprocess(crop, sized) for crop in crops))
    both = (first, preprocess(_mirrored(image), spec))
    pairs = (part for crop in crops for part in (crop, _mirrored(crop)))
    return (*both, *(preprocess(part, sized) for part in pairs))


def _corners(image: Image, spec: Preprocess) -> Iterator[Image]:
    whole = uncropped(spec)
    if whole.size == spec.size:
        raise UsageError(
            "the network sees the whole image, so that there is nothing to crop elsewhere",
            hint="the mirrored views work for it: flip",
        )
    height, width = spec.size
    pixels = resized(image, whole)
    for rows in (slice(height), slice(-height, None)):
        for columns in (slice(width), slice(-width, None)):
            yield pixels[rows, columns]


def _mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])
