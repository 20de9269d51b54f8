"""The two multipliers of the MobileNet papers, as names carry them: mobilenetv1_0.5_160.

Widths are also written without a point, 025 or 50, which are percent, or 1; of the numbers without
a point only the widths that were published are widths, and only sides that the network halves five
times are sides: mobilenetv1_160.
"""

from __future__ import annotations

import re
from dataclasses import replace

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.zoo.published_accuracy import published_accuracy
from edgecnn.zoo.spec import ModelSpec

_SEPARATORS = r"[\s._-]*"
_APART = r"[\s_-]+"
_WIDTH = "|".join(
    (
        rf"{_SEPARATORS}(?P<factor>\d\.\d+)",
        rf"{_APART}(?P<part>\.\d+|1)",
        rf"{_SEPARATORS}(?P<digits>0\d\d)",
        rf"{_APART}(?P<percent>25|35|50|75|100|130|140)",
    )
)
_MULTIPLIERS = rf"(?:{_WIDTH})(?:{_APART}(?P<side>\d+))?|{_APART}(?P<alone>\d+)"
_HALVED = 32
_LEAST_ALONE = 96
WIDTHS = (0.05, 4.0)
_SIDES = (32, 1024)


def parse(spec: ModelSpec, name: str) -> ModelSpec | None:
    """The network that `name` means, if it is that of `spec` with multipliers behind it.

    Raises UsageError for multipliers that nobody can mean.
    """
    pattern = f"{_SEPARATORS.join(spec.name)}(?:{_MULTIPLIERS})"
    match = re.fullmatch(pattern, name.strip().casefold(), re.ASCII)
    if match is None:
        return None
    side, alone = match["side"], match["alone"]
    percent = match["digits"] or match["percent"]
    if alone and (int(alone) % _HALVED or int(alone) < _LEAST_ALONE):
        return None
    width = float(match["factor"] or match["part"] or 1)
    return scale(
        spec,
        width=int(percent) / 100 if percent else width,
        side=int(side or alone or spec.preprocess.size[0]),
    )


def scale(spec: ModelSpec, *, width: float, side: int) -> ModelSpec:
    """A network `width` times as wide for images of `side`; nobody publishes weights for it.

    Raises UsageError for multipliers out of range.
    """
    if not WIDTHS[0] <= width <= WIDTHS[1] or not _SIDES[0] <= side <= _SIDES[1]:
        raise UsageError(
            f"there is no {spec.name} of width {width} for {side} pixels",
            hint=f"width is {WIDTHS[0]} to {WIDTHS[1]}, the side {_SIDES[0]} to {_SIDES[1]}",
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
