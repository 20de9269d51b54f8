"""Calibration sets: which images teach a quantizer its ranges, checked before they are believed."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from edgecnn.datasets.duplicates import THUMBNAIL, fingerprint, near_duplicates
from edgecnn.datasets.images import grey_thumbnail, image_paths, read_image, read_thumbnail
from edgecnn.datasets.natural import natural_image
from edgecnn.datasets.photos import photo_crop, require_photos
from edgecnn.errors import DataError
from edgecnn.files import sha256_of
from edgecnn.runtime.preprocess import Image

LEAST_IMAGES = 16

_SIDE = 256  # pixels, of drawn images
_DEFAULT_COUNTS = {"natural": 128, "photos": 256, "random": 128}
_LEAST = f"{LEAST_IMAGES} different ones are the least that make sense"
_ADVICE = "add images of other scenes, as the camera will see them"


class Source(Protocol):
    """Where the images of a set come from, one at a time."""

    @property
    def count(self) -> int:
        """How many images there are."""

    def read(self, index: int) -> Image:
        """One image, uint8 (height, width, 3) RGB."""

    def look(self, index: int) -> tuple[str, Image]:
        """The sha256 of one image's content, and its thumbnail."""


@dataclass(frozen=True, slots=True)
class Files:
    """Images on disk; their content is the bytes of the file."""

    paths: tuple[Path, ...]

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self.paths)

    def read(self, index: int) -> Image:
        """Raises DataError where the file is no image."""
        return read_image(self.paths[index])

    def look(self, index: int) -> tuple[str, Image]:
        """Raises DataError where the file is no image."""
        thumbnail = read_thumbnail(self.paths[index], size=THUMBNAIL)
        return sha256_of(self.paths[index]), thumbnail


@dataclass(frozen=True, slots=True)
class Drawn:
    """Images made on demand, the same for the same index; their content is the pixels."""

    count: int
    draw: Callable[[int], Image]

    def read(self, index: int) -> Image:
        """Draw it."""
        return self.draw(index)

    def look(self, index: int) -> tuple[str, Image]:
        """Draw it and shrink it."""
        image = self.draw(index)
        digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
        return digest, grey_thumbnail(image, size=THUMBNAIL)


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Images that are read only when asked for; `digests` are the sha256 of their contents."""

    name: str
    source: Source
    members: tuple[int, ...]
    digests: tuple[str, ...]
    near_duplicates: int = 0
    is_random: bool = False

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.members)

    @property
    def sha256(self) -> str:
        """Of the contents, in whatever order and under whatever names."""
        return hashlib.sha256("\n".join(sorted(self.digests)).encode()).hexdigest()

    def images(self) -> Iterator[Image]:
        """The images, one at a time, uint8 (height, width, 3) RGB of any size.

        Raises DataError where a file has vanished or changed into no image.
        """
        return map(self.source.read, self.members)

    def split(self, held_out: float, *, seed: int = 0) -> tuple[CalibrationSet, CalibrationSet]:
        """(to fit with, to choose by): a random share `held_out` (0 to 1) is kept aside."""
        aside = _sample(self.count, round(held_out * self.count), seed)
        kept = np.setdiff1d(np.arange(self.count), aside)
        return self._part(kept), self._part(aside)

    def _part(self, places: NDArray[np.intp]) -> CalibrationSet:
        return dataclasses.replace(
            self,
            members=tuple(self.members[place] for place in places),
            digests=tuple(self.digests[place] for place in places),
        )


def open_calibration(
    source: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationSet:
    """Find the images of `source`, look at each of them once, and refuse what teaches nothing.

    `source` is a folder, a .txt list of files (relative to itself), or, as a string that no file
    has for a name: `natural[:N]` drawn pictures, `photos[:N]` crops of packaged photographs, or
    `random[:N]` noise, which is only good for measuring speed. `limit` takes a random sample.

    Raises DataError for fewer than 16 different images, for near-duplicates in the majority, and
    for a file that is no image.
    """
    found = _find(source, seed)
    members = _sample(found.count, found.count if limit is None else limit, seed)
    _check_count(str(source), len(members))
    digests, thumbnails = _looked_at(found, members, progress)
    is_random = _word(source) == "random"
    duplicates = 0 if is_random else near_duplicates(thumbnails)
    _check_duplicates(str(source), duplicates, len(members))
    return CalibrationSet(
        str(source), found, tuple(map(int, members)), digests, duplicates, is_random
    )


def _find(source: str | Path, seed: int) -> Source:
    word = _word(source)
    if word is None:
        return Files(_paths(Path(source)))
    count = int(str(source).partition(":")[2] or _DEFAULT_COUNTS[word])
    if word == "photos":
        return Drawn(count, partial(photo_crop, require_photos(), seed=seed))
    if word == "natural":
        return Drawn(count, partial(natural_image, height=_SIDE, width=_SIDE, seed=seed))
    return Drawn(count, partial(_noise, seed=seed))


def _word(source: str | Path) -> str | None:
    """The word that `source` is, or None where it is a path."""
    match = re.fullmatch(r"(natural|photos|random)(:[0-9]{1,9})?", str(source))
    if match is None or isinstance(source, Path) or Path(source).exists():
        return None
    return match[1]


def _paths(source: Path) -> tuple[Path, ...]:
    if source.suffix.lower() != ".txt" or not source.is_file():
        return image_paths(source)
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: not a list in UTF-8", hint="one file a line") from error
    return tuple(source.parent / line.strip() for line in lines if line.strip())


def _noise(index: int, *, seed: int) -> Image:
    random = Generator(PCG64(SeedSequence((seed, index))))
    return random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)


def _sample(count: int, wanted: int, seed: int) -> NDArray[np.intp]:
    """`wanted` of the numbers below `count`, or all of them, in order."""
    random = Generator(PCG64(SeedSequence(seed)))
    return np.sort(np.argsort(random.random(count))[: max(wanted, 0)])


def _looked_at(
    source: Source, members: NDArray[np.intp], progress: Callable[[int, int], None] | None
) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """The digests of the images, and their fingerprints (n, bits)."""
    digests, prints = [], []
    for done, member in enumerate(members, start=1):
        digest, thumbnail = source.look(int(member))
        digests.append(digest)
        prints.append(fingerprint(thumbnail))
        if progress:
            progress(done, len(members))
    return tuple(digests), np.stack(prints)


def _check_count(name: str, count: int) -> None:
    if count < LEAST_IMAGES:
        raise DataError(f"{name}: {count} images; {_LEAST}", hint=_ADVICE)


def _check_duplicates(name: str, duplicates: int, count: int) -> None:
    if duplicates * 2 <= count and count - duplicates >= LEAST_IMAGES:
        return
    reason = _LEAST if count - duplicates < LEAST_IMAGES else "half of the set is the most"
    raise DataError(
        f"{name}: {duplicates} of {count} images are near-duplicates of each other; {reason}",
        hint=_ADVICE,
    )
