"""Which images show the same: difference hashes that lie close together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecnn.runtime.preprocess import Image

THUMBNAIL = (8, 9)  # height, width: eight differences in each of eight rows
BITS = 64

# Of 64 bits. Copies that were scaled or compressed again stay within 3. Of 1,211 photographs of
# different things 6 have another within 8, 11 within 10; halves of the bits agree by chance.
NEAR = 3
ALIKE = 10

_BLOCK = 512
_ROWS = 4096  # compared at a time: 16 MB of distances for each thousand on the other side


def fingerprint(thumbnail: Image) -> bytes:
    """The dHash of a thumbnail, 64 bits: is each grey pixel darker than its right neighbour?"""
    return np.packbits(thumbnail[:, :-1] < thumbnail[:, 1:]).tobytes()


def leaders(fingerprints: Sequence[bytes], *, within: int) -> tuple[int, ...]:
    """The first of each kind: places of those that lie near no earlier leader."""
    signs = _signs(fingerprints)
    chosen: list[int] = []
    for start in range(0, len(signs), _BLOCK):
        block = signs[start : start + _BLOCK]
        near_kept = _distances(block, signs[chosen].T) <= within
        led: NDArray[np.bool_] = np.asarray(near_kept.any(axis=1))
        near = _distances(block, block.T) <= within
        for place in range(len(block)):
            if not led[place]:
                chosen.append(start + place)
                led |= near[place]
    return tuple(chosen)


def near_duplicates(fingerprints: Sequence[bytes]) -> int:
    """How many of the images lie near an earlier one that is none itself."""
    return len(fingerprints) - len(leaders(fingerprints, within=NEAR))


def kindred(fingerprints: Sequence[bytes], *, within: int) -> NDArray[np.intp]:
    """For each image (n,) the place of the first one that it hangs together with.

    Two images hang together where they lie near each other, or where others between them do.
    """
    signs = _signs(fingerprints)
    first = np.arange(len(signs))
    for start in range(0, len(signs), _BLOCK):
        near = _distances(signs[start : start + _BLOCK], signs.T) <= within
        for place, others in enumerate(near, start=start):
            joined = np.unique(first[: place + 1][others[: place + 1]])
            if joined.size > 1:
                first[np.isin(first, joined)] = joined[0]
    return first


def near_any(fingerprints: Sequence[bytes], others: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which of the images (n,) are near-duplicates of any of the others."""
    signs, found = _signs(others), np.zeros(len(fingerprints), np.bool_)
    mine = _signs(fingerprints)
    for start in range(0, len(signs), _ROWS):
        found |= (_distances(signs[start : start + _ROWS], mine.T) <= NEAR).any(axis=0)
    return found


def _signs(fingerprints: Sequence[bytes]) -> NDArray[np.float32]:
    """Bits as +1 and -1, (n, 64): the product of two rows counts the bits that agree."""
    packed = np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, BITS // 8)
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _distances(signs: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(BITS / 2) - np.float32(0.5) * (signs @ others)
