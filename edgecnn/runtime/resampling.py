"""Which input pixels make an output pixel, and with what weights: Pillow's filters as numbers.

https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters. When an image shrinks, the
filter is widened by the scale (antialias). Only the outputs that survive the crop are planned.

Weights are whole multiples of 2**-WEIGHT_BITS. So every sum of weighted pixels is exact, in float32
as in int32, and the answer is the same whoever adds them and in whatever order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Filter, Preprocess

Weights = NDArray[np.float32]
Block = tuple[int, int, int, int, Weights]  # start, stop, low, high, matrix

# Outputs computed by one matrix product: the band of inputs that they share stays narrow.
_ROWS = 16
_COLUMNS = 4

_LONGEST = 1 << 22  # pixels of a resized side

WEIGHT_BITS = 14  # 16 hold a weight of less than 2; float32's 24 a sum of 255 times such weights

_Numbers = NDArray[np.float64]
_Row = tuple[int, _Numbers]  # first input pixel, weights


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One axis: keep `source` pixels from `offset`; `rows` say what each output makes of them.

    A row is the first pixel that it reads, counted from `offset`, and the weights of that one and
    those after it; they sum to one. Without rows the pixels stay as they are. `blocks` are the same
    as matrices: down `matrix @ rows[low:high]` is the rows `start:stop` of the output; across
    `row[low:high] @ matrix` is the values `start:stop`, three to a pixel.
    """

    offset: int
    source: int
    rows: tuple[_Row, ...] | None
    blocks: tuple[Block, ...] = ()

    @property
    def size(self) -> int:
        """How many outputs there are."""
        return self.source if self.rows is None else len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How an image of one size becomes one of another."""

    vertical: Axis
    horizontal: Axis


@lru_cache(maxsize=256)
def plan(height: int, width: int, spec: Preprocess) -> Plan:
    """Precrop, resize and centre crop of an image of this size."""
    offset_y, offset_x, height, width = precropped(height, width, spec)
    target_y, target_x = target(height, width, spec)
    crop_y, crop_x = spec.size
    vertical = _axis(offset_y, height, target_y, crop_y, spec)
    horizontal = _axis(offset_x, width, target_x, crop_x, spec)
    return Plan(
        replace(vertical, blocks=tuple(_blocks(vertical.rows or (), _ROWS))),
        replace(horizontal, blocks=tuple(map(_across, _blocks(horizontal.rows or (), _COLUMNS)))),
    )


def precropped(height: int, width: int, spec: Preprocess) -> tuple[int, int, int, int]:
    """Offsets and size of what `crop_fraction` keeps."""
    if spec.crop_fraction is None:
        return 0, 0, height, width
    side = max(1, int(spec.crop_fraction * min(height, width)))
    return (height - side + 1) // 2, (width - side + 1) // 2, side, side


def target(height: int, width: int, spec: Preprocess) -> tuple[int, int]:
    """The size after the resize, before the crop: the long side is truncated as torchvision's."""
    if spec.pad is not None:
        scale = min(spec.size[0] / height, spec.size[1] / width)
        return max(1, round(height * scale)), max(1, round(width * scale))
    if spec.resize is None:
        return spec.size
    if height <= width:
        return spec.resize, max(1, int(spec.resize * width / height))
    return max(1, int(spec.resize * height / width)), spec.resize


def start(target: int, crop: int) -> int:
    """The first of `crop` centred pixels out of `target`; below zero where there are fewer."""
    return round((target - crop) / 2)


def _axis(offset: int, source: int, target: int, crop: int, spec: Preprocess) -> Axis:
    first = start(target, crop)
    if source == target:
        return Axis(offset + first, crop, None)
    rows = (
        _nearest(source, target, first, crop)
        if spec.filter == "nearest"
        else [weights_of(source, target, first + index, spec) for index in range(crop)]
    )
    low = min(begin for begin, _ in rows)
    high = max(begin + len(values) for begin, values in rows)
    return Axis(offset + low, high - low, tuple((begin - low, values) for begin, values in rows))


def _blocks(rows: tuple[_Row, ...], size: int) -> Iterator[Block]:
    """The resampling matrix cut into dense blocks of `size` outputs."""
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        low = min(begin for begin, _ in part)
        high = max(begin + len(values) for begin, values in part)
        matrix = np.zeros((len(part), high - low), dtype=np.float32)
        for index, (begin, values) in enumerate(part):
            matrix[index, begin - low : begin - low + len(values)] = values
        yield first, first + len(part), low, high, matrix


def _across(block: Block) -> Block:
    """The block for rows of RGB pixels: each colour is made of its own."""
    first, stop, low, high, matrix = block
    return 3 * first, 3 * stop, 3 * low, 3 * high, np.kron(matrix.T, np.eye(3, dtype=np.float32))


def _nearest(source: int, target: int, start: int, count: int) -> list[_Row]:
    """The input pixel in which the centre of each of `count` outputs lies.

    Pillow adds the step up from pixel to pixel, and the sum's rounding decides where a centre on
    the edge of two pixels falls: so it is added up here, too, but for lengths beyond any image's.
    """
    stop, step = start + count, source / target
    if stop > _LONGEST:
        centers = (np.arange(start, stop) + 0.5) * step
    else:
        steps = np.full(stop, step)
        steps[0] /= 2
        centers = np.add.accumulate(steps)[start:]
    return [(min(int(center), source - 1), np.ones(1)) for center in centers]


def weights_of(source: int, target: int, index: int, spec: Preprocess) -> _Row:
    """The first of `source` pixels that output `index` of `target` reads, and their weights.

    What rounding takes from one weight, the next ones give back, so that they sum to one.
    """
    scale = source / target
    center = (index + 0.5) * scale
    kernel, radius = _KERNELS[spec.filter]
    widen = max(scale, 1.0) if spec.antialias else 1.0
    low = max(int(center - radius * widen + 0.5), 0)
    high = min(int(center + radius * widen + 0.5), source)
    middles: _Numbers = np.arange(low, high, dtype=np.float64) + 0.5
    values = kernel((middles - center) / widen)
    upto = np.rint(np.cumsum(values / values.sum()) * 2**WEIGHT_BITS)
    return low, np.diff(upto, prepend=0.0) / 2**WEIGHT_BITS


def _box(x: _Numbers) -> _Numbers:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: _Numbers) -> _Numbers:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def _bicubic(x: _Numbers) -> _Numbers:
    """Keys, 'Cubic convolution interpolation for digital image processing' (1981), a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: _Numbers) -> _Numbers:
    inside: _Numbers = np.sinc(x) * np.sinc(x / 3)
    return np.where(np.abs(x) < 3, inside, 0.0)


_Kernel = Callable[[_Numbers], _Numbers]
_KERNELS: dict[Filter, tuple[_Kernel, float]] = {
    "box": (_box, 0.5),
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
