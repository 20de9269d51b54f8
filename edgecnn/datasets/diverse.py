"""A small set out of many frames, as different from each other as they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.datasets.duplicates import ALIKE, THUMBNAIL, fingerprint
from edgecnn.datasets.images import grey, grey_thumbnail
from edgecnn.runtime.preprocess import Image

# The same view in other light teaches other ranges: so many steps of 255 count as one bit of 64.
_STEPS_PER_BIT = 4.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame is to be kept under this number, which another one may have had before."""

    place: int


class Diverse:
    """Chooses at most `limit` frames while they come.

    The distance of two frames is that of their dHashes in bits, plus their difference in light. One
    that lies nearer than `least` to a kept one is left out; once the set is full, a frame takes the
    place of one of the two that are most alike, if it lies further away from all others than they
    from each other.
    """

    def __init__(self, limit: int, *, least: float = ALIKE) -> None:
        self._limit = limit
        self._least = least
        self._bits = np.empty((0, 64), dtype=np.float64)
        self._light = np.empty(0, dtype=np.float64)

    def __len__(self) -> int:
        return len(self._light)

    def offer(self, image: Image) -> Kept | None:
        """Whether to keep an RGB image, and in what place."""
        values = grey(np.array(image, order="C"))
        printed = np.frombuffer(fingerprint(grey_thumbnail(values, size=THUMBNAIL)), np.uint8)
        bits, light = np.unpackbits(printed).astype(np.float64), float(values.mean())
        distances = self._distances(bits, light)
        if distances.min(initial=np.inf) <= self._least:
            return None
        if len(self) < self._limit:
            self._bits = np.concatenate([self._bits, bits[None]])
            self._light = np.append(self._light, light)
            return Kept(len(self) - 1)
        place, closest = self._most_alike()
        if np.delete(distances, place).min(initial=np.inf) <= closest:
            return None
        self._bits[place], self._light[place] = bits, light
        return Kept(place)

    def _most_alike(self) -> tuple[int, float]:
        """One of the two nearest frames, and how near they are."""
        pairs = np.stack(
            [self._distances(*each) for each in zip(self._bits, self._light, strict=True)]
        )
        np.fill_diagonal(pairs, np.inf)
        return int(pairs.argmin() // len(pairs)), float(pairs.min())

    def _distances(self, bits: NDArray[np.float64], light: float) -> NDArray[np.float64]:
        differ: NDArray[np.float64] = np.abs(self._bits - bits).sum(axis=1)
        return differ + np.abs(self._light - light) / _STEPS_PER_BIT
