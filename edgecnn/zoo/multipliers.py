"""The two multipliers of the MobileNet papers, as names carry them: mobilenetv1_0.5_160."""

from __future__ import annotations

import re
from dataclasses import replace

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.zoo.published_accuracy import published_accuracy
from edgecnn.zoo.spec import ModelSpec

_SEPARATORS = r"[\s._-]*"
# 0.25 or, as some write it, 025; then, set apart, the side of the images.
_MULTIPLIERS = rf"{_SEPARATORS}(\d\.\d+|0\d\d)(?:[\s_-]+(\d+))?"
_WIDTHS = (0.05, 4.0)
_SIDES = (32, 1024)


def parse(spec: ModelSpec, name: str) -> ModelSpec | None:
    """The network that `name` means, if it is that of `spec` with multipliers behind it.

    Raises UsageError for multipliers that nobody can mean.
    """
    pattern = _SEPARATORS.join(spec.name) + _MULTIPLIERS
    match = re.fullmatch(pattern, name.strip().casefold(), re.ASCII)
    if match is None:
        return None
    width, side = match.groups()
    return scale(
        spec,
        width=float(width) if "." in width else int(width) / 100,
        side=int(side) if side else spec.preprocess.size[0],
    )


def scale(spec: ModelSpec, *, width: float, side: int) -> ModelSpec:
    """A network `width` times as wide for images of `side`; nobody publishes weights for it.

    Raises UsageError for multipliers out of range.
    """
    if not _WIDTHS[0] <= width <= _WIDTHS[1] or not _SIDES[0] <= side <= _SIDES[1]:
        raise UsageError(
            f"there is no {spec.name} of width {width} for {side} pixels",
            hint=f"width is {_WIDTHS[0]} to {_WIDTHS[1]}, the side {_SIDES[0]} to {_SIDES[1]}",
        )
    known = spec.preprocess.size[0]
    if (width, side) == (1.0, known):
        return spec
    resolution = () if side == known else (str(side),)
    name = "_".join((spec.name, str(width), *resolution))
    return replace(
        spec,
        name=name,
        published=published_accuracy(name),
        title=" ".join((spec.family, str(width), *resolution)),
        preprocess=_resized(spec.preprocess, side),
        weights=(),
        width=width,
    )


def _resized(preprocess: Preprocess, side: int) -> Preprocess:
    """The same share of the image at another size."""
    resize = preprocess.resize
    if resize is not None:
        resize = round(resize * side / preprocess.size[0])
    return replace(preprocess, size=(side, side), resize=resize)
