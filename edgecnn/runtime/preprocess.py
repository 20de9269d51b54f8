"""From a uint8 image to the network's input: the only implementation there is.

Calibration, evaluation, profiling and the camera all come through here. The resize is Pillow's
(https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters): separable, horizontal
first, each pass rounded to 8 bits, with the filter widened by the scale when it shrinks
(antialias). Only the pixels that survive the crop are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Filter, Preprocess
from edgecnn.errors import DataError

Image = NDArray[np.uint8]
Tensor = NDArray[np.float32]

_Numbers = NDArray[np.floating[Any]]
_Row = tuple[int, _Numbers]  # first input pixel, weights
_Block = tuple[int, int, int, int, Tensor]  # start, stop, low, high, matrix

# Output rows computed by one matrix product: the band of inputs that they share stays narrow.
_BLOCK = 16

_LONGEST = 1 << 22  # pixels of a resized side

# ITU-R 601-2 luma in 16-bit fixed point, as Pillow's convert("L") computes it.
_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)


def preprocess(image: Image, spec: Preprocess) -> Tensor:
    """Prepare one image: uint8 (H, W, 3) RGB or (H, W) gray -> float32 of `spec.tensor_shape()`.

    Raises DataError where the image has another shape or type.
    """
    pixels = resized(_checked(image), spec)
    if spec.color == "BGR":
        pixels = pixels[:, :, ::-1]
    elif spec.color == "GRAY":
        pixels = to_gray(pixels)
    return _normalised(pixels, spec)


def preprocess_batch(images: tuple[Image, ...], spec: Preprocess) -> Tensor:
    """Prepare several images as one batch, float32 of `spec.tensor_shape(batch=len(images))`."""
    return np.concatenate([preprocess(image, spec) for image in images])


def resized(image: Image, spec: Preprocess) -> Image:
    """The geometric part: precrop, resize and centre crop, or padding; uint8 (height, width, 3)."""
    if spec.pad is not None:
        return _padded(image, spec)
    plan = _plan(image.shape[0], image.shape[1], spec)
    top, left = plan.top, plan.left
    image = image[top.offset : top.offset + top.source, left.offset : left.offset + left.source]
    return _vertical(_horizontal(image, left), top)


def uncropped(spec: Preprocess) -> Preprocess:
    """The preprocessing that keeps what the last centre crop cuts off, at the same scale.

    It is `spec` itself where that crops nothing.
    """
    if spec.resize is not None:
        grow = spec.resize / max(spec.size)
    elif spec.crop_fraction is not None:
        grow = 1 / spec.crop_fraction
    else:
        return spec
    height, width = (round(side * grow) for side in spec.size)
    resize = None if spec.resize is None else max(height, width)
    crop_fraction = None if spec.crop_fraction is None else 1.0
    return replace(spec, size=(height, width), resize=resize, crop_fraction=crop_fraction)


def placement(height: int, width: int, spec: Preprocess) -> Placement:
    """Where a frame of this size comes to lie in the network's input."""
    cut_y, cut_x, height, width = _precropped(height, width, spec)
    target_y, target_x = _target(height, width, spec)
    scale_y, scale_x = target_y / height, target_x / width
    start_y, start_x = _start(target_y, spec.size[0]), _start(target_x, spec.size[1])
    return Placement(scale_y, scale_x, cut_y * scale_y + start_y, cut_x * scale_x + start_x)


@dataclass(frozen=True, slots=True)
class Placement:
    """(y, x) of the frame is (y * scale_y - start_y, x * scale_x - start_x) of the input."""

    scale_y: float
    scale_x: float
    start_y: float
    start_x: float


def to_gray(image: Image) -> Image:
    """Luma of an RGB image: uint8 (H, W, 3) -> (H, W, 1)."""
    luma = (image.astype(np.uint32) @ _LUMA + 0x8000) >> 16
    return luma.astype(np.uint8)[:, :, None]


def _padded(image: Image, spec: Preprocess) -> Image:
    """The whole image, its ratio kept, in the middle of a gray input."""
    height, width = _target(image.shape[0], image.shape[1], spec)
    inner = resized(image, replace(spec, size=(height, width), pad=None))
    if (height, width) == spec.size:
        return inner
    out = np.full((*spec.size, 3), spec.pad, dtype=np.uint8)
    top, left = -_start(height, spec.size[0]), -_start(width, spec.size[1])
    out[top : top + height, left : left + width] = inner
    return out


def _checked(image: Image) -> Image:
    if image.dtype == np.uint8 and image.ndim == 2 and image.size:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"an image of shape {image.shape} and type {image.dtype}",
            hint="images are uint8 arrays of shape (height, width, 3) in RGB order",
        )
    return image


def _normalised(pixels: Image, spec: Preprocess) -> Tensor:
    """`(pixel * scale - mean) / std`, one multiplication and one subtraction a pixel."""
    tensor = np.empty(spec.tensor_shape(), dtype=np.float32)
    planes = tensor[0] if spec.layout == "NCHW" else tensor[0].transpose(2, 0, 1)
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        np.multiply(pixels[:, :, channel], np.float32(spec.scale / std), out=planes[channel])
        planes[channel] -= np.float32(mean / std)
    return tensor


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis: keep `source` pixels from `offset`, of which `weights` makes the output."""

    offset: int
    source: int
    weights: _Weights | None


@dataclass(frozen=True, slots=True)
class _Plan:
    top: _Axis
    left: _Axis


@dataclass(frozen=True, slots=True)
class _Weights:
    """A resampling matrix in blocks: output rows `start:stop` read inputs `low:high`."""

    blocks: tuple[_Block, ...]
    size: int


@lru_cache(maxsize=256)
def _plan(height: int, width: int, spec: Preprocess) -> _Plan:
    offset_y, offset_x, height, width = _precropped(height, width, spec)
    target_y, target_x = _target(height, width, spec)
    crop_y, crop_x = spec.size
    return _Plan(
        _axis(offset_y, height, target_y, crop_y, spec),
        _axis(offset_x, width, target_x, crop_x, spec),
    )


def _precropped(height: int, width: int, spec: Preprocess) -> tuple[int, int, int, int]:
    """Offsets and size of what `crop_fraction` keeps."""
    if spec.crop_fraction is None:
        return 0, 0, height, width
    side = max(1, int(spec.crop_fraction * min(height, width)))
    return (height - side + 1) // 2, (width - side + 1) // 2, side, side


def _target(height: int, width: int, spec: Preprocess) -> tuple[int, int]:
    """The size after the resize, before the crop: the long side is truncated as torchvision's."""
    if spec.pad is not None:
        scale = min(spec.size[0] / height, spec.size[1] / width)
        return max(1, round(height * scale)), max(1, round(width * scale))
    if spec.resize is None:
        return spec.size
    if height <= width:
        return spec.resize, max(1, int(spec.resize * width / height))
    return max(1, int(spec.resize * height / width)), spec.resize


def _axis(offset: int, source: int, target: int, crop: int, spec: Preprocess) -> _Axis:
    start = _start(target, crop)
    if source == target:
        return _Axis(offset + start, crop, None)
    rows = (
        _nearest(source, target, start, crop)
        if spec.filter == "nearest"
        else [_row(source, target, start + index, spec) for index in range(crop)]
    )
    low = min(begin for begin, _ in rows)
    high = max(begin + len(values) for begin, values in rows)
    return _Axis(offset + low, high - low, _Weights(tuple(_blocks(rows, low)), crop))


def _start(target: int, crop: int) -> int:
    """The first of `crop` centred pixels out of `target`; below zero where there are fewer."""
    return round((target - crop) / 2)


def _blocks(rows: list[_Row], origin: int) -> Iterator[_Block]:
    """Cut the resampling matrix into dense blocks; inputs are counted from `origin`."""
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        low = min(begin for begin, _ in part)
        high = max(begin + len(values) for begin, values in part)
        matrix = np.zeros((len(part), high - low), dtype=np.float32)
        for index, (begin, values) in enumerate(part):
            matrix[index, begin - low : begin - low + len(values)] = values
        yield start, start + len(part), low - origin, high - origin, matrix


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


def _row(source: int, target: int, index: int, spec: Preprocess) -> _Row:
    """The input pixels that output `index` reads, and their weights (they sum to one)."""
    scale = source / target
    center = (index + 0.5) * scale
    kernel, radius = _KERNELS[spec.filter]
    widen = max(scale, 1.0) if spec.antialias else 1.0
    low = max(int(center - radius * widen + 0.5), 0)
    high = min(int(center + radius * widen + 0.5), source)
    values = kernel((np.arange(low, high) + 0.5 - center) / widen)
    return low, values / values.sum()


def _horizontal(image: Image, axis: _Axis) -> Image:
    if axis.weights is None:
        return image
    out = np.empty((image.shape[0], axis.weights.size, 3), dtype=np.uint8)
    for channel in range(3):
        plane = image[:, :, channel].astype(np.float32)
        for start, stop, low, high, matrix in axis.weights.blocks:
            out[:, start:stop, channel] = _rounded(plane[:, low:high] @ matrix.T)
    return out


def _vertical(image: Image, axis: _Axis) -> Image:
    if axis.weights is None:
        return image
    rows = image.astype(np.float32).reshape(image.shape[0], -1)
    out = np.empty((axis.weights.size, rows.shape[1]), dtype=np.uint8)
    for start, stop, low, high, matrix in axis.weights.blocks:
        out[start:stop] = _rounded(matrix @ rows[low:high])
    return out.reshape(axis.weights.size, image.shape[1], 3)


def _rounded(values: Tensor) -> Image:
    """To the nearest 8-bit value, halves up, as Pillow rounds."""
    values += np.float32(0.5)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


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
