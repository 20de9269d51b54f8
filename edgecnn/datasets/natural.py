"""Pictures with the statistics of photographs, for when nobody gave any photographs.

Dead leaves: opaque shapes with sizes from the power law r^-3 fall on each other until they cover
the frame (Lee, Mumford & Huang 2001, "Occlusion models for natural images"). That alone gives the
edges, the occlusions and the 1/f^2 power spectrum of photographs (Field 1987; Ruderman & Bialek
1994). Each leaf has a colour drawn in the decorrelated space of Ruderman, Cronin & Chiao (1998,
"Statistics of cone responses to natural images"), a texture with equal contrast in every octave,
and light that falls off across it; lens blur and sensor noise come last.

Only additions, multiplications, divisions and square roots touch the pixels (no FFT, no BLAS),
so that every machine draws the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from edgecnn.runtime.preprocess import Image

_Plane = NDArray[np.float32]  # (height, width) or (height, width, 3)

_SMALLEST_RADIUS = 1.5  # pixels; smaller leaves would be texture
_SHARP_SIDE = 448  # pixels; larger pictures are drawn coarser, or they would take seconds
_SHIFT = 32  # pixels
_BLUR = 0.08  # of a pixel's light, to each neighbour
_MIDDLE_GREY = 0.2  # of the sensor's range, in linear light
_DARKEST = np.float32(-0.75)  # a shadow leaves a quarter of the light

# Log LMS to l-alpha-beta is orthogonal up to scale, so its transpose leads back.
_LAB_TO_LOG_LMS = np.array(
    [
        [1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)],
        [1 / np.sqrt(3), 1 / np.sqrt(6), -1 / np.sqrt(2)],
        [1 / np.sqrt(3), -2 / np.sqrt(6), 0.0],
    ]
)
# Linear sRGB from LMS, as in Reinhard et al. 2001, "Color transfer between images".
_LMS_TO_RGB = np.array(
    [
        [4.4679, -3.5873, 0.1193],
        [-1.2186, 2.3809, -0.1624],
        [0.0497, -0.2439, 1.2045],
    ]
)


def natural_images(count: int, *, height: int, width: int, seed: int) -> Iterator[Image]:
    """`count` pictures, uint8 (height, width, 3) RGB; the same for the same seed (>= 0)."""
    return (natural_image(i, height=height, width=width, seed=seed) for i in range(count))


def natural_image(index: int, *, height: int, width: int, seed: int) -> Image:
    """The picture number `index` of a seed, uint8 (height, width, 3) RGB."""
    random = Generator(PCG64(SeedSequence((seed, index))))
    leaves = _fall(random, height, width)
    covering = _covering_leaf(leaves, height, width)
    light = _light(random, leaves, covering)
    linear = leaves.color[covering] * light[:, :, None]
    return _developed(random, _exposed(random, _blurred(linear)))


@dataclass(frozen=True, slots=True)
class _Leaves:
    """Shapes in falling order; one entry each, `axes` (n, 2, 2) maps pixels to the unit shape."""

    center: NDArray[np.float64]  # (n, 2): row, column
    radius: NDArray[np.float64]  # (n,)
    axes: NDArray[np.float64]  # (n, 2, 2)
    square: NDArray[np.bool_]  # (n,)
    color: NDArray[np.float32]  # (n, 3) linear RGB


def _fall(random: Generator, height: int, width: int) -> _Leaves:
    """So many leaves that 0.3 to 1.5 lie over each pixel on average: the clutter varies."""
    side = max(height, width)
    smallest = _SMALLEST_RADIUS * max(1.0, side / _SHARP_SIDE)
    largest = max(0.5 * side, 2 * smallest)
    inverse = 1 / smallest**2, 1 / largest**2
    mean_area = 2 * np.pi * np.log(largest / smallest) / (inverse[0] - inverse[1])
    count = int((0.3 + 1.2 * random.random()) * height * width / mean_area + 20)
    # r^-3 between the two radii, by the inverse of its distribution function.
    radius = 1 / np.sqrt(inverse[0] - random.random(count) * (inverse[0] - inverse[1]))
    center = random.random((count, 2)) * (height, width)
    return _Leaves(
        center, radius, _axes(random, radius), random.random(count) < 0.4, _colors(random, count)
    )


def _axes(random: Generator, radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate by any angle and squeeze one side to 0.3 to 1 of the other."""
    direction = _directions(random, len(radius))
    long = direction / radius[:, None]
    squeeze = 0.3 + 0.7 * random.random((len(radius), 1))
    short = np.stack([-direction[:, 1], direction[:, 0]], axis=1) / (radius[:, None] * squeeze)
    return np.stack([long, short], axis=1)


def _directions(random: Generator, count: int) -> NDArray[np.float64]:
    vectors = random.random((count, 2)) - 0.5
    length = np.sqrt(vectors[:, :1] ** 2 + vectors[:, 1:] ** 2)
    return np.asarray(vectors / np.maximum(length, 1e-9))


def _colors(random: Generator, count: int) -> NDArray[np.float32]:
    """Linear RGB: a few materials a picture, varied in brightness, under one coloured light."""
    materials = 3 + int(random.integers(5))
    palette = _bell(random, (materials, 3)) * (1.7, 0.24, 0.03)
    cast = _bell(random, (1, 3)) * (0.0, 0.10, 0.008) + (0.0, 0.08, 0.0)  # sunlight is yellow
    each = _bell(random, (count, 3)) * (0.5, 0.07, 0.01)
    lab = palette[random.integers(materials, size=count)] + cast + each
    lab[:, 2] += 0.15 * lab[:, 1]  # what is yellow is reddish: earth, wood, skin
    log_lms = (_LAB_TO_LOG_LMS * lab[:, None, :]).sum(axis=2)
    linear = (_LMS_TO_RGB * np.exp(log_lms)[:, None, :]).sum(axis=2)
    color: NDArray[np.float32] = np.clip(linear, 0.003, 20.0).astype(np.float32)
    return color


def _bell(random: Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Nearly normal numbers of variance 1 (Irwin-Hall), without any transcendental function."""
    return np.asarray((random.random((*shape, 6)).sum(axis=-1) - 3) * np.sqrt(2))


def _covering_leaf(leaves: _Leaves, height: int, width: int) -> NDArray[np.intp]:
    """For each pixel (height, width) the index of the leaf on top; leaf 0 lies everywhere."""
    covering = np.zeros((height, width), dtype=np.intp)
    low = np.floor(leaves.center - leaves.radius[:, None] * 1.5).astype(int).clip(0)
    high = np.ceil(leaves.center + leaves.radius[:, None] * 1.5).astype(int)
    rows = np.arange(height) + 0.5
    columns = np.arange(width) + 0.5
    for index in range(1, len(leaves.radius)):
        (top, left), (bottom, right) = low[index], high[index]
        row = rows[top:bottom, None] - leaves.center[index, 0]
        column = columns[None, left:right] - leaves.center[index, 1]
        (a, b), (c, d) = leaves.axes[index]
        u, v = a * row + b * column, c * row + d * column
        inside = np.maximum(u * u, v * v) <= 1 if leaves.square[index] else u * u + v * v <= 1
        covering[top:bottom, left:right][inside] = index
    return covering


def _light(random: Generator, leaves: _Leaves, covering: NDArray[np.intp]) -> _Plane:
    """What each pixel's colour is multiplied by: texture, shading and light of the scene."""
    height, width = covering.shape
    count = len(leaves.radius)
    room = (height + _SHIFT, width + _SHIFT)
    grain = np.stack([_octaves(random, *room, stretch) for stretch in (1, 4, 16)])
    kind = random.integers(len(grain), size=count)[covering]
    # Shifted for each leaf, or it would seem to go on behind the edges.
    shift = random.integers(_SHIFT + 1, size=(count, 2))[covering]
    rows = np.arange(height)[:, None] + shift[:, :, 0]
    columns = np.arange(width)[None, :] + shift[:, :, 1]
    contrast = (0.08 + 0.5 * random.random(count) ** 2).astype(np.float32)
    texture = contrast[covering] * grain[kind, rows, columns]
    scene = np.float32(0.3) * _octaves(random, height, width, 1, finest=max(height, width, 2) // 2)
    texture, scene = np.maximum(texture, _DARKEST), np.maximum(scene, _DARKEST)
    light: _Plane = (1 + texture) * (1 + scene) * _shading(random, leaves, covering)
    return light


def _shading(random: Generator, leaves: _Leaves, covering: NDArray[np.intp]) -> _Plane:
    """A linear fall-off across each leaf, as on a surface that turns away from the light."""
    height, width = covering.shape
    count = len(leaves.radius)
    steepness = 0.35 * random.random(count) / leaves.radius
    slope = _directions(random, count) * steepness[:, None]
    offset = (slope * leaves.center).sum(axis=1)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    fall = slope[covering, 0] * rows + slope[covering, 1] * columns - offset[covering]
    shading: _Plane = np.clip(1 + fall, 0.5, 1.5).astype(np.float32)
    return shading


def _octaves(
    random: Generator, height: int, width: int, stretch: int, *, finest: int = 1
) -> _Plane:
    """Noise (height, width) of variance 1, as much of it in every octave (power 1/f^2).

    `stretch` makes its features that many times longer than high, as grain of wood or grass.
    """
    total = np.zeros((height, width), dtype=np.float32)
    cell, octaves = finest, 0
    while cell < max(height, width) or not octaves:
        total += _smooth_noise(random, height, width, (cell, cell * stretch))
        cell, octaves = cell * 2, octaves + 1
    return total * np.float32(np.sqrt(1 / octaves))


def _smooth_noise(random: Generator, height: int, width: int, cell: tuple[int, int]) -> _Plane:
    """Random values on a grid of `cell` pixels, interpolated linearly between; variance about 1."""
    row, row_part = _grid(height, cell[0])
    column, column_part = _grid(width, cell[1])
    values = random.random((row[-1] + 2, column[-1] + 2), dtype=np.float32) * 2 - 1
    values *= np.float32(np.sqrt(3) * (1.0 if cell[0] == 1 else 1.5))
    across = values[:, column] * (1 - column_part) + values[:, column + 1] * column_part
    down = across[row] * (1 - row_part[:, None]) + across[row + 1] * row_part[:, None]
    return np.asarray(down, dtype=np.float32)


def _grid(length: int, cell: int) -> tuple[NDArray[np.intp], _Plane]:
    """The grid point before each pixel, and how far beyond it the pixel lies (0 to 1)."""
    pixels = np.arange(length)
    return pixels // cell, ((pixels % cell) / np.float32(cell)).astype(np.float32)


def _blurred(linear: _Plane) -> _Plane:
    """A lens: each pixel takes a little of its four neighbours' light; edges repeat."""
    padded = np.pad(linear, ((1, 1), (1, 1), (0, 0)), mode="edge")
    beside = padded[1:-1, :-2] + padded[1:-1, 2:] + padded[:-2, 1:-1] + padded[2:, 1:-1]
    return linear * np.float32(1 - 4 * _BLUR) + beside * np.float32(_BLUR)


def _exposed(random: Generator, linear: _Plane) -> _Plane:
    """As a camera meters it: the mean becomes middle grey, times 0.5 to 1.5."""
    mean = _MIDDLE_GREY * (0.5 + random.random())
    return linear * np.float32(mean / linear.mean(dtype=np.float64))


def _developed(random: Generator, linear: _Plane) -> Image:
    """Linear light (height, width, 3) to sRGB bytes, with the sensor's read and shot noise."""
    noise = random.random(linear.shape, dtype=np.float32) - np.float32(0.5)
    seen = linear + noise * np.sqrt(np.maximum(linear, 0) * np.float32(2e-4) + np.float32(4e-6))
    levels = np.clip(seen * np.float32(4095) + np.float32(0.5), 0, 4095)
    developed: Image = _srgb_table()[levels.astype(np.uint16)]
    return developed


def _srgb_table() -> NDArray[np.uint8]:
    """IEC 61966-2-1 for 12-bit linear light."""
    linear = np.arange(4096) / 4095
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curve * 255), dtype=np.uint8)
