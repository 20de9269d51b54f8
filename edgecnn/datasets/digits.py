"""The handwritten digits that scikit-learn ships, as small RGB images in three fixed parts.

1797 digits of 8x8 pixels by 13 writers (Alpaydin & Kaynak 1998, "Optical Recognition of
Handwritten Digits", UCI, its test set). The parts are drawn by chance within each class, so every
writer may appear in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from edgecnn.datasets.packaged import packaged_file
from edgecnn.errors import DataError, UsageError
from edgecnn.files import write_error

Split = Literal["train", "calibration", "held_out"]

SIDE = 32
CLASSES = tuple("0123456789")

_INK = 16  # the largest value in the file
_SPLIT_SEED = 0
_SHARES = {"train": 0.6, "calibration": 0.1, "held_out": 0.3}


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """`images` uint8 (n, 32, 32, 3) RGB, bright ink on black; `labels` int64 (n,) 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_digits(split: Split) -> Digits:
    """One part of the digits; the three parts share no image and never change.

    Raises DataError where scikit-learn, which ships them, is not installed.
    """
    small, labels = _read()
    chosen = _members(labels, split)
    images = [_enlarged(digit) for digit in small[chosen]]
    return Digits(np.stack(images), labels[chosen])


def write_digits(folder: Path, split: Split) -> int:
    """Write one part as PNG files, a folder per class (`folder/7/0012.png`); gives their number.

    Raises DataError as `load_digits` does and FileError where the files cannot be written.
    """
    digits = load_digits(split)
    for index, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        path = folder / CLASSES[label] / f"{index:04d}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(image).save(path)
        except OSError as error:
            raise write_error(path, error) from error
    return len(digits.labels)


def _read() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All digits as the file has them: (n, 8, 8) of 0 to 16, and their labels (n,)."""
    path = packaged_file("sklearn", "datasets/data/digits.csv.gz")
    if path is None:
        raise DataError(
            "digits: scikit-learn is not installed, which ships them",
            hint="pip install 'edgecnn[demo]'",
        )
    table = np.loadtxt(path, delimiter=",", dtype=np.int64)
    return table[:, :-1].reshape(-1, 8, 8).astype(np.uint8), table[:, -1]


def _members(labels: NDArray[np.int64], split: Split) -> NDArray[np.intp]:
    """The indices of one part, in the file's order; each class is divided in the same shares."""
    if split not in _SHARES:
        raise UsageError(
            f"digits: there is no part {split!r}", hint=f"one of: {', '.join(get_args(Split))}"
        )
    random = np.random.Generator(np.random.PCG64(_SPLIT_SEED))
    part = list(_SHARES).index(split)
    edges = np.cumsum([0.0, *_SHARES.values()])
    chosen = []
    for digit in range(len(CLASSES)):
        members = np.flatnonzero(labels == digit)
        shuffled = members[np.argsort(random.random(len(members)))]
        start, stop = np.rint(edges[part : part + 2] * len(shuffled)).astype(int)
        chosen.append(shuffled[start:stop])
    return np.sort(np.concatenate(chosen))


def _enlarged(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """8x8 of 0 to 16 -> 32x32 RGB of 0 to 255; the bicubic filter keeps strokes smooth and firm."""
    grey = PIL.Image.fromarray(np.rint(digit * (255 / _INK)).astype(np.uint8))
    large = np.asarray(grey.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC))
    return np.repeat(large[:, :, None], 3, axis=2)
