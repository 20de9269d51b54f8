"""A calibration set as its network takes it, read once however many passes look at it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.runtime.preprocess import Image, Tensor, preprocess, resized

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
        self._images = images
        self._spec = contract.preprocess
        # The same preprocessing for pixels that have their size already.
        self._sized = dataclasses.replace(self._spec, resize=None, crop_fraction=None)
        self._batch = contract.inputs[0].batch or 1
        size_bytes = 3 * self._spec.size[0] * self._spec.size[1]
        self._most_kept = keep_bytes // size_bytes
        self._kept: list[Image] = []

    @property
    def count(self) -> int:
        """How many tensors a pass gives."""
        return self._images.count // self._batch

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
        for index in range(start + len(kept), self._images.count):
            pixels = resized(self._images.source.read(self._images.members[index]), self._spec)
            if len(self._kept) == index < self._most_kept:
                self._kept.append(pixels)
            yield pixels
