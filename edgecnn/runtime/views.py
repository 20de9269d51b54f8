"""Several looks at an image: crops and mirror images, whose answers are averaged.

Krizhevsky et al. 2012, section 4.1: the four corners and the centre, and the same mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.runtime.preprocess import Image, Tensor, preprocess, resized, uncropped

Views = Literal["centre", "flip", "five", "ten"]


def views_of(image: Image, spec: Preprocess, views: Views) -> tuple[Tensor, ...]:
    """An image through a preprocessing in several views; the first is the one that ships.

    Raises UsageError for crops of a network that sees the whole image, and for unknown views.
    """
    if views not in get_args(Views):
        raise UsageError(f"unknown views {views!r}", hint=f"one of: {', '.join(get_args(Views))}")
    if views == "centre":
        return (preprocess(image, spec),)
    if views == "flip":
        return (preprocess(image, spec), preprocess(_mirrored(image), spec))
    crops = tuple(_corners(image, spec))
    sized = replace(spec, resize=None, crop_fraction=None)
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
