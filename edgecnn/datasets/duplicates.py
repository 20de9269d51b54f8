"""Which images of a set show the same: difference hashes that lie close together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecnn.runtime.preprocess import Image

THUMBNAIL = (8, 9)  # height, width: eight differences in each of eight rows

# Of 64 bits. Copies that were scaled or compressed again stay below; 300 photographs of
# different things have no pair within 8.
_NEAR = 3


def fingerprint(thumbnail: Image) -> NDArray[np.bool_]:
    """The dHash of a thumbnail, 64 bits: is each grey pixel darker than its right neighbour?"""
    return np.asarray(thumbnail[:, :-1] < thumbnail[:, 1:]).ravel()


def near_duplicates(fingerprints: NDArray[np.bool_]) -> int:
    """How many of the images (n, bits) lie near an earlier one that is none itself."""
    kept = np.zeros_like(fingerprints)
    count = 0
    for candidate in fingerprints:
        distances = np.count_nonzero(kept[:count] != candidate, axis=1)
        if not (distances <= _NEAR).any():
            kept[count] = candidate
            count += 1
    return len(fingerprints) - count
