"""From a uint8 image, or a sound, to the network's input: the only implementation there is.

Calibration, evaluation, profiling and the camera all come through here. The resize is Pillow's
(https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters): separable, horizontal
first, each pass rounded to 8 bits, with the filter widened by the scale when it shrinks
(antialias). Only the pixels that survive the crop are computed.

NumPy does it all; where the helper of `native` was built, it does the same faster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.errors import DataError
from edgecnn.runtime.native import helper
from edgecnn.runtime.resampling import Axis, plan, precropped, start, target
from edgecnn.runtime.spectrogram import Samples, is_sound, melspectrogram

Image = NDArray[np.uint8]
Given = Image | Samples  # what a camera or a microphone gives
Tensor = NDArray[np.float32]

# Rows that become float at a time: they stay in the processor's cache.
_BAND = 128

# ITU-R 601-2 luma in 16-bit fixed point, as Pillow's convert("L") computes it.
_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)


def preprocess(image: Given, spec: Preprocess, *, out: Tensor | None = None) -> Tensor:
    """Prepare one image: uint8 (H, W, 3) RGB or (H, W) gray -> float32 of `spec.tensor_shape()`.

    Where `spec` listens, a sound: (samples,) int16, or float from -1 to 1; an image then stands for
    its picture. `out`, a C-contiguous tensor of an earlier call, is filled again instead of a new
    one. A BGR frame is given as `frame[:, :, ::-1]`: nothing is copied. Raises DataError where the
    image or `out` has another shape or type, or where a sound is not what is listened to.
    """
    pixels = resized(image, spec)
    out = np.empty(spec.tensor_shape(), dtype=np.float32) if out is None else _fitting(out, spec)
    if spec.color == "GRAY":
        _normalise(to_gray(pixels), spec, out)
        return out
    backwards = spec.color == "BGR"
    if _is_mirrored(pixels):
        pixels, backwards = pixels[:, :, ::-1], not backwards
    fast = helper()
    if fast is not None and pixels.flags.c_contiguous:
        fast.normalise(pixels, spec, backwards, out)
    else:
        _normalise(pixels[:, :, ::-1] if backwards else pixels, spec, out)
    return out


def preprocess_batch(images: tuple[Given, ...], spec: Preprocess) -> Tensor:
    """Prepare several images as one batch, float32 of `spec.tensor_shape(batch=len(images))`."""
    tensor = np.empty(spec.tensor_shape(batch=len(images)), dtype=np.float32)
    for index, image in enumerate(images):
        preprocess(image, spec, out=tensor[index : index + 1])
    return tensor


def resized(given: Given, spec: Preprocess) -> Image:
    """The geometric part: precrop, resize and centre crop, or padding; uint8 (height, width, 3).

    Of a sound that of its picture. Raises DataError as `preprocess` does.
    """
    image = picture(given, spec)
    if _is_mirrored(image):
        return resized(image[:, :, ::-1], spec)[:, :, ::-1]
    if spec.pad is not None:
        return _padded(image, spec)
    fast = helper()
    done = None if fast is None else fast.resize(image, spec)
    return _resized(image, spec) if done is None else done


def picture(given: Given, spec: Preprocess) -> Image:
    """The image, uint8 (H, W, 3), or that of a sound where `spec` listens; raises DataError."""
    if spec.melspectrogram is not None and is_sound(given):
        return melspectrogram(given, spec.melspectrogram)
    return checked(given)


def settled(spec: Preprocess) -> Preprocess:
    """The same preprocessing for what `resized` has given: pixels that have their size already."""
    return replace(spec, resize=None, crop_fraction=None, melspectrogram=None)


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
    cut_y, cut_x, height, width = precropped(height, width, spec)
    target_y, target_x = target(height, width, spec)
    scale_y, scale_x = target_y / height, target_x / width
    start_y, start_x = start(target_y, spec.size[0]), start(target_x, spec.size[1])
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


def checked(image: Given) -> Image:
    """The image as a plain uint8 array (H, W, 3); gray (H, W) is taken, anything else refused."""
    if not isinstance(image, np.ndarray):
        raise _no_image(f"a {type(image).__name__}")
    image = np.asarray(image)
    if image.dtype == np.uint8 and image.ndim == 2 and image.size:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise _no_image(f"an array of shape {image.shape} and type {image.dtype}")
    return image


def _fitting(out: Tensor, spec: Preprocess) -> Tensor:
    fits = out.shape == spec.tensor_shape() and out.dtype == np.float32 and out.flags.c_contiguous
    if not fits:
        raise DataError(
            f"a tensor of shape {out.shape} and type {out.dtype} to be filled",
            hint=f"it must be float32, C-contiguous, of shape {spec.tensor_shape()}",
        )
    return out


def _no_image(what: str) -> DataError:
    return DataError(
        f"{what} is no image",
        hint="images are uint8 arrays of shape (height, width, 3) in RGB order",
    )


def _is_mirrored(image: Image) -> bool:
    """Whether the channels lie backwards in memory, as in the RGB view of a BGR frame."""
    return image.strides[2] == -1


def _padded(image: Image, spec: Preprocess) -> Image:
    """The whole image, its ratio kept, in the middle of a gray input."""
    height, width = target(image.shape[0], image.shape[1], spec)
    inner = resized(image, replace(spec, size=(height, width), pad=None))
    if (height, width) == spec.size:
        return inner
    out = np.full((*spec.size, 3), spec.pad, dtype=np.uint8)
    top, left = -start(height, spec.size[0]), -start(width, spec.size[1])
    out[top : top + height, left : left + width] = inner
    return out


def _normalise(pixels: Image, spec: Preprocess, out: Tensor) -> None:
    """`(pixel * scale - mean) / std`, one multiplication and one subtraction a pixel."""
    planes = out[0] if spec.layout == "NCHW" else out[0].transpose(2, 0, 1)
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        np.multiply(pixels[:, :, channel], np.float32(spec.scale / std), out=planes[channel])
        planes[channel] -= np.float32(mean / std)


def _resized(image: Image, spec: Preprocess) -> Image:
    """The two passes in NumPy."""
    resampling = plan(image.shape[0], image.shape[1], spec)
    top, left = resampling.vertical, resampling.horizontal
    image = image[top.offset : top.offset + top.source, left.offset : left.offset + left.source]
    return _vertical(_horizontal(image, left), top)


def _horizontal(image: Image, axis: Axis) -> Image:
    if axis.rows is None:
        return image
    out = np.empty((image.shape[0], axis.size * 3), dtype=np.uint8)
    for top in range(0, len(out), _BAND):
        band = image[top : top + _BAND].astype(np.float32, order="C")
        band = band.reshape(len(band), -1)
        sums = np.empty((len(band), out.shape[1]), dtype=np.float32)
        for first, stop, low, high, matrix in axis.blocks:
            np.matmul(band[:, low:high], matrix, out=sums[:, first:stop])
        out[top : top + _BAND] = _rounded(sums)
    return out.reshape(len(out), axis.size, 3)


def _vertical(image: Image, axis: Axis) -> Image:
    if axis.rows is None:
        return image
    rows = image.astype(np.float32).reshape(image.shape[0], -1)
    out = np.empty((axis.size, rows.shape[1]), dtype=np.uint8)
    for first, stop, low, high, matrix in axis.blocks:
        out[first:stop] = _rounded(matrix @ rows[low:high])
    return out.reshape(axis.size, image.shape[1], 3)


def _rounded(values: Tensor) -> Image:
    """To the nearest 8-bit value, halves up, as Pillow rounds."""
    values += np.float32(0.5)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)
