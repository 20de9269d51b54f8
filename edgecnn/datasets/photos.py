"""The photographs that scikit-learn and scikit-image ship, and random crops of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from edgecnn.datasets.images import read_image
from edgecnn.datasets.packaged import packaged_file
from edgecnn.errors import DataError
from edgecnn.runtime.preprocess import Image

# Colour photographs of things and scenes only: no scans, drawings, microscopy or starfields.
_FILES = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/rocket.jpg"),
)

_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photograph by name; `image` is uint8 (height, width, 3) RGB."""

    name: str
    image: Image


def packaged_photos() -> tuple[Photo, ...]:
    """The photographs in the installed packages, always in the same order; () where none is."""
    paths = (packaged_file(package, inside) for package, inside in _FILES)
    return tuple(Photo(path.stem, read_image(path)) for path in paths if path is not None)


def photo_crops(count: int, *, seed: int, min_side: int = 128) -> Iterator[Image]:
    """`count` random crops of the packaged photographs, uint8 (height, width, 3), not resized.

    As networks are trained on (Szegedy et al. 2015, "Going deeper with convolutions"): 8 to 100 %
    of the area, aspect 3/4 to 4/3, half of them mirrored, but no side below `min_side` pixels.
    The photographs take turns. Raises DataError where none is installed.
    """
    photos = require_photos()
    return (photo_crop(photos, index, seed=seed, min_side=min_side) for index in range(count))


def require_photos() -> tuple[Photo, ...]:
    """As `packaged_photos`, but raises DataError where there is none."""
    photos = packaged_photos()
    if not photos:
        raise DataError(
            "photos: neither scikit-learn nor scikit-image is installed, whose photos these are",
            hint="pip install 'edgecnn[demo]', or name a folder of your own images",
        )
    return photos


def photo_crop(photos: tuple[Photo, ...], index: int, *, seed: int, min_side: int = 128) -> Image:
    """The crop number `index` of a seed (>= 0); independent of how many are taken."""
    random = Generator(PCG64(SeedSequence((seed, index))))
    image = photos[index % len(photos)].image
    height, width = _crop_size(random, image.shape[0], image.shape[1], min_side)
    top = int(random.integers(image.shape[0] - height + 1))
    left = int(random.integers(image.shape[1] - width + 1))
    crop = image[top : top + height, left : left + width]
    return np.ascontiguousarray(crop[:, ::-1] if random.integers(2) else crop)


def _crop_size(random: Generator, height: int, width: int, min_side: int) -> tuple[int, int]:
    """A random height and width; the whole image where no try fits."""
    for _ in range(_TRIES):
        area = random.uniform(*_AREA) * height * width
        aspect = np.exp(random.uniform(*np.log(_ASPECT)))
        rows, columns = round(np.sqrt(area / aspect)), round(np.sqrt(area * aspect))
        if min_side <= rows <= height and min_side <= columns <= width:
            return rows, columns
    return height, width
