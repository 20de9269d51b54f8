"""Where images come from, and what one glance at each of them tells."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgecnn.datasets.duplicates import THUMBNAIL, fingerprint
from edgecnn.datasets.images import grey, grey_thumbnail, read_rough
from edgecnn.datasets.inputs import read_any
from edgecnn.datasets.sounds import is_sound_file, read_sound
from edgecnn.files import sha256_of
from edgecnn.runtime.preprocess import Given, Image

# Of 466 photographs the roughest has 0.53; noise of any size, saved as JPEG, up to 0.08.
LEAST_SMOOTHNESS = 0.3
_ROUGH = (THUMBNAIL[0] * 8, THUMBNAIL[1] * 8)  # eight pixels for each one that stays


@dataclass(frozen=True, slots=True)
class Look:
    """One image at a glance.

    `digest` is the sha256 of its content, `fingerprint` the dHash of 8 bytes; `brightness` and
    `contrast` are the mean and the standard deviation of its grey values, 0 to 255. `smoothness`
    is how neighbouring grey values go together, their correlation: near 1 in pictures of things, 0
    in noise. A sound is alike to its copies alone; its brightness and contrast are nan.
    """

    digest: str
    fingerprint: bytes
    brightness: float
    contrast: float
    smoothness: float

    @property
    def is_noise(self) -> bool:
        """Whether no pixel knows anything of its neighbours."""
        return self.smoothness < LEAST_SMOOTHNESS


class Source(Protocol):
    """Images, one at a time."""

    @property
    def count(self) -> int:
        """How many images there are."""

    def read(self, index: int) -> Given:
        """One image, uint8 (height, width, 3) RGB, or one sound, float32 (samples,)."""

    def look(self, index: int) -> Look:
        """A glance at one image."""

    def label(self, index: int) -> str:
        """What people call it."""


@dataclass(frozen=True, slots=True)
class Files:
    """Images or sounds on disk; their content is the bytes of the file."""

    paths: tuple[Path, ...]

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self.paths)

    def read(self, index: int) -> Given:
        """Raises DataError where the file is no image and no sound."""
        return read_any(self.paths[index])

    def look(self, index: int) -> Look:
        """Raises DataError where the file is no image and no sound."""
        path = self.paths[index]
        if is_sound_file(path):
            digest = hashlib.sha256(read_sound(path).tobytes()).digest()
            return Look(sha256_of(path), digest[:8], math.nan, math.nan, smoothness=1)
        rough = read_rough(path, least=_ROUGH)  # it knows best what is wrong with a file
        return _look(sha256_of(path), rough)

    def label(self, index: int) -> str:
        """The file's name."""
        return self.paths[index].name


@dataclass(frozen=True, slots=True)
class Drawn:
    """Images made on demand, the same for the same index; their content is the pixels."""

    count: int
    draw: Callable[[int], Image]

    def read(self, index: int) -> Image:
        """Draw it."""
        return self.draw(index)

    def look(self, index: int) -> Look:
        """Draw it and shrink it."""
        image = self.draw(index)
        digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
        return _look(digest, image)

    def label(self, index: int) -> str:
        """Its number."""
        return f"image {index}"


def _look(digest: str, pixels: Image) -> Look:
    values = grey(pixels)
    print_ = fingerprint(grey_thumbnail(values, size=THUMBNAIL))
    return Look(
        digest=digest,
        fingerprint=print_,
        brightness=float(values.mean()),
        contrast=float(values.std()),
        smoothness=_smoothness(values),
    )


def _smoothness(values: Image) -> float:
    """Correlation of the grey values (height, width) with their neighbours to the right and below.

    From their squared differences, 2 (1 - correlation) times the variance. A picture of one colour
    is as smooth as can be.
    """
    exact = values.astype(np.float32)
    across, down = (np.diff(exact, axis=axis) for axis in (1, 0))
    differences = np.concatenate([across.ravel(), down.ravel()])
    variance = float(exact.var())
    if not differences.size or variance == 0:
        return 1.0
    return 1 - float(np.square(differences).mean()) / (2 * variance)
