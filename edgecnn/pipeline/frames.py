"""A calibration set as its network takes it, read once however many passes look at it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.datasets.inputs import fitting
from edgecnn.errors import DataError
from edgecnn.runtime.preprocess import Given, Image, Tensor, preprocess, resized, settled

HELD_OUT_SHARE = 0.2
MAX_KEPT_BYTES = 48 << 20


class Frames:
    """Preprocessed images in the network's batch size.

    Decoding and resizing cost more than a run of a small network, so the resized pixels of the
    first images are kept, up to `keep_bytes`; those beyond are read again in each pass.
    """

    def __init__(
        self, images: CalibrationSet, contract: Contract, *, keep_bytes: int = MAX_KEPT_BYTES
    ) -> None:
        self.contract = contract
        self.images = images
        self._spec = contract.preprocess
        self._sized = settled(self._spec)
        self._batch = contract.inputs[0].batch or 1
        size_bytes = 3 * self._spec.size[0] * self._spec.size[1]
        self._most_kept = keep_bytes // size_bytes
        self._kept: list[Image] = []

    @property
    def count(self) -> int:
        """How many tensors a pass gives."""
        return self.images.count // self._batch

    def tensors(self, start: int = 0) -> Iterator[Tensor]:
        """The images once, float32 in batches; a last odd rest is left out, so are `start` first.

        What is left out at the start is not read.
        """
        pixels_from = self._pixels(start * self._batch)
        prepared = (preprocess(pixels, self._sized) for pixels in pixels_from)
        while len(part := tuple(itertools.islice(prepared, self._batch))) == self._batch:
            yield part[0] if self._batch == 1 else np.concatenate(part)

    def _pixels(self, start: int) -> Iterator[Image]:
        kept = tuple(self._kept[start:])
        yield from kept
        for index in range(start + len(kept), self.images.count):
            pixels = resized(self._read(index), self._spec)
            if len(self._kept) == index < self._most_kept:
                self._kept.append(pixels)
            yield pixels

    def _read(self, index: int) -> Given:
        source, member = self.images.source, self.images.members[index]
        return fitting(source.read(member), self._spec, source.label(member))


def split_frames(
    source: Path, images: CalibrationSet, contract: Contract, *, seed: int
) -> tuple[Frames, Frames]:
    """The images to learn from and the fifth that judges.

    Raises DataError where the fixed batch of the file `source` is not filled once on both sides.
    """
    fit, held_out = (Frames(part, contract) for part in images.split(HELD_OUT_SHARE, seed=seed))
    if not min(fit.count, held_out.count):
        batch = contract.inputs[0].batch or 1
        raise DataError(
            f"{source}: takes {batch} images a run, and {images.count} images are too few for it",
            hint=f"give {math.ceil(batch / HELD_OUT_SHARE)} images, or export with --batch 1",
        )
    return fit, held_out
