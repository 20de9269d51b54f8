"""Calibration sets: which images teach a quantizer its ranges, checked before they are believed."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from edgecnn.datasets.duplicates import near_duplicates
from edgecnn.datasets.listing import listed_images
from edgecnn.datasets.looks import Drawn, Files, Look, Source
from edgecnn.datasets.natural import natural_image
from edgecnn.datasets.photos import photo_crop, require_photos
from edgecnn.errors import DataError
from edgecnn.runtime.preprocess import Given, Image

LEAST_IMAGES = 16

_SIDE = 256  # pixels, of drawn images
_DEFAULT_COUNTS = {"natural": 128, "photos": 256, "random": 128}
_LEAST = f"{LEAST_IMAGES} different ones are the least that make sense"
_ADVICE = "add images of other scenes, as the camera will see them"


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Images that are read only when asked for; `looks` is what a glance at each has told."""

    name: str
    source: Source
    members: tuple[int, ...]
    looks: tuple[Look, ...]
    is_random: bool = False

    @property
    def digests(self) -> tuple[str, ...]:
        """The sha256 of each image's content."""
        return tuple(look.digest for look in self.looks)

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.members)

    @property
    def near_duplicates(self) -> int:
        """How many of them show nearly the same as an earlier one; of noise none is looked for."""
        return 0 if self.is_random else near_duplicates(self.fingerprints)

    @property
    def fingerprints(self) -> tuple[bytes, ...]:
        """The fingerprint of each image."""
        return tuple(look.fingerprint for look in self.looks)

    @property
    def sha256(self) -> str:
        """Of the contents, in whatever order and under whatever names."""
        return hashlib.sha256("\n".join(sorted(self.digests)).encode()).hexdigest()

    @property
    def noise(self) -> tuple[int, ...]:
        """The places of images that are noise; noise that was asked for is none."""
        looks = () if self.is_random else self.looks
        return tuple(place for place, look in enumerate(looks) if look.is_noise)

    def images(self) -> Iterator[Given]:
        """The images, one at a time, uint8 (height, width, 3) RGB of any size, or sounds.

        Raises DataError where a file has vanished or changed into no image.
        """
        return map(self.source.read, self.members)

    def split(self, held_out: float, *, seed: int = 0) -> tuple[CalibrationSet, CalibrationSet]:
        """(to fit with, to choose by): a random share `held_out` (0 to 1) is kept aside."""
        aside = _sample(self.count, round(held_out * self.count), seed)
        kept = np.setdiff1d(np.arange(self.count), aside)
        return self._part(kept), self._part(aside)

    def sample(self, count: int, *, seed: int = 0) -> CalibrationSet:
        """`count` of the images by chance, in order; the set itself where it has no more."""
        return self if count >= self.count else self._part(_sample(self.count, count, seed))

    def _part(self, places: NDArray[np.intp]) -> CalibrationSet:
        return dataclasses.replace(
            self,
            members=tuple(self.members[place] for place in places),
            looks=tuple(self.looks[place] for place in places),
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was found: the readable images as a set, and why others cannot be read."""

    images: CalibrationSet
    unreadable: tuple[DataError, ...]

    @property
    def problem(self) -> DataError | None:
        """Why nothing can be learnt from these images, or None."""
        return (
            _count_problem(self.images.name, self.images.count + len(self.unreadable))
            or _unreadable_problem(self)
            or _noise_problem(self.images)
            or _duplicates_problem(self.images)
        )


def open_calibration(
    source: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationSet:
    """As `survey`, but refuse what teaches nothing.

    Raises DataError for fewer than 16 different images, for near-duplicates or noise in the
    majority, and for files that are no images.
    """
    found = survey(source, limit=limit, seed=seed, progress=progress)
    if found.problem:
        raise found.problem
    return found.images


def survey(
    source: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Find the images of `source` and look at each of them once.

    `source` is what `listed_images` knows, or, as a string that no file has for a name:
    `natural[:N]` drawn pictures, `photos[:N]` crops of packaged photographs, or `random[:N]` noise,
    which is only good for measuring speed. `limit` takes a random sample.

    Raises DataError where there is no such source, or no image in it.
    """
    found = _find(source, seed)
    members = _sample(found.count, found.count if limit is None else limit, seed)
    surveyed = _look_at(found, members, str(source), progress)
    images = dataclasses.replace(surveyed.images, is_random=word_of(source) == "random")
    return Survey(images, surveyed.unreadable)


def _look_at(
    found: Source,
    members: Sequence[int] | NDArray[Any],
    name: str,
    progress: Callable[[int, int], None] | None,
) -> Survey:
    looks: dict[int, Look] = {}
    unreadable = []
    for done, member in enumerate(map(int, members), start=1):
        try:
            looks[member] = found.look(member)
        except DataError as error:
            unreadable.append(error)
        if progress:
            progress(done, len(members))
    images = CalibrationSet(
        name=name, source=found, members=tuple(looks), looks=tuple(looks.values())
    )
    return Survey(images, tuple(unreadable))


def _find(source: str | Path, seed: int) -> Source:
    word = word_of(source)
    if word is None:
        return Files(listed_images(Path(source)))
    count = int(str(source).partition(":")[2] or _DEFAULT_COUNTS[word])
    if word == "photos":
        return Drawn(count, partial(photo_crop, require_photos(), seed=seed))
    if word == "natural":
        return Drawn(count, partial(natural_image, height=_SIDE, width=_SIDE, seed=seed))
    return Drawn(count, partial(_noise, seed=seed))


def word_of(source: str | Path) -> str | None:
    """The word that `source` is (natural, photos, random), or None where it is a path."""
    match = re.fullmatch(r"(natural|photos|random)(:[0-9]{1,9})?", str(source))
    if match is None or isinstance(source, Path) or Path(source).exists():
        return None
    return match[1]


def _noise(index: int, *, seed: int) -> Image:
    random = Generator(PCG64(SeedSequence((seed, index))))
    return random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)


def _sample(count: int, wanted: int, seed: int) -> NDArray[np.intp]:
    """`wanted` of the numbers below `count`, or all of them, in order."""
    random = Generator(PCG64(SeedSequence(seed)))
    return np.sort(np.argsort(random.random(count))[: max(wanted, 0)])


def _count_problem(name: str, count: int) -> DataError | None:
    return DataError(f"{name}: {count} images; {_LEAST}", hint=_ADVICE) if _few(count) else None


def _few(count: int) -> bool:
    return count < LEAST_IMAGES


def _unreadable_problem(found: Survey) -> DataError | None:
    if len(found.unreadable) < 2:
        return next(iter(found.unreadable), None)
    count, first = found.images.count + len(found.unreadable), found.unreadable[0]
    return DataError(
        f"{found.images.name}: {len(found.unreadable)} of {count} images cannot be read, "
        f"the first of them {first}",
        hint="take them out; edgecnn calibrate names them all",
    )


def _noise_problem(images: CalibrationSet) -> DataError | None:
    noise, count = len(images.noise), images.count
    if noise * 2 <= count:
        return None
    return DataError(
        f"{images.name}: {noise} of {count} images are noise: no pixel knows its neighbour",
        hint=f"{_ADVICE}; to measure speed alone: --calibration random",
    )


def _duplicates_problem(images: CalibrationSet) -> DataError | None:
    duplicates, count = images.near_duplicates, images.count
    if duplicates * 2 <= count and not _few(count - duplicates):
        return None
    reason = _LEAST if _few(count - duplicates) else "half of the set is the most"
    return DataError(
        f"{images.name}: {duplicates} of {count} images are near-duplicates of each other; "
        f"{reason}",
        hint=_ADVICE,
    )
