"""Photos as a network takes them: decoded by several threads, kept in memory where they fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor

from edgecnn.contract import Preprocess
from edgecnn.datasets.inputs import read_input
from edgecnn.runtime.preprocess import Image, preprocess, resized, settled, uncropped
from edgecnn.training.augmentation import NONE, Augmentation, augmented

MAX_KEPT_BYTES = 1 << 30
_FEWEST_READERS = 2  # one decodes while the other waits for its file

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Photos:
    """Photos through a contract's preprocessing, plain or as random views.

    Decoding costs more than a small network's step, so the resized pixels are kept, up to
    `keep_bytes`; those beyond are read again.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        spec: Preprocess,
        *,
        augmentation: Augmentation | None = None,
        workers: int = 2,
        keep_bytes: int = MAX_KEPT_BYTES,
    ) -> None:
        self._paths = paths
        self._augmentation = None if augmentation == NONE else augmentation
        self._read_as = uncropped(spec) if augmentation and augmentation.crops else spec
        # Crops are drawn from what the centre crop would cut off, too: real pixels to move into.
        self._sized = settled(spec)
        self._workers = workers
        self._most_kept = keep_bytes // (3 * self._read_as.size[0] * self._read_as.size[1])
        self._kept: dict[int, Image] = {}

    def tensors(self, places: Iterable[int], *, draw: tuple[int, ...] = ()) -> Iterator[Tensor]:
        """One tensor (1, C, H, W) for each place, in order; the next ones are made meanwhile.

        Random views follow from `draw` and the place alone. Raises DataError where a file has
        vanished or changed into no image.
        """
        return in_parallel(
            lambda place: torch.from_numpy(preprocess(self.view(place, draw), self._sized)),
            places,
            workers=self._workers,
        )

    def view(self, place: int, draw: tuple[int, ...] = ()) -> Image:
        """What the network would be shown of a photo, uint8 (height, width, 3)."""
        pixels = self._pixels(place)
        if self._augmentation is None:
            return pixels
        random = Generator(PCG64(SeedSequence((*draw, place))))
        return augmented(pixels, self._sized.size, self._augmentation, random)

    def _pixels(self, place: int) -> Image:
        if place in self._kept:
            return self._kept[place]
        pixels = resized(read_input(self._paths[place], self._read_as), self._read_as)
        if len(self._kept) < self._most_kept:
            self._kept[place] = pixels
        return pixels


def reader_threads() -> int:
    """How many threads read photos: as many as PyTorch computes with, two at least."""
    return max(_FEWEST_READERS, torch.get_num_threads())


def in_parallel(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int
) -> Iterator[_Result]:
    """`work` on each item by threads, results in order, a bounded number of them ahead."""
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 16 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def batched(tensors: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Tensors of one image each, joined in batches; the last may be smaller."""
    part: list[Tensor] = []
    for tensor in tensors:
        part.append(tensor)
        if len(part) == size:
            yield torch.cat(part)
            part = []
    if part:
        yield torch.cat(part)


def shuffled(places: np.ndarray[tuple[int], np.dtype[np.intp]], *draw: int) -> list[int]:
    """The places in an order that follows from `draw` alone."""
    random = Generator(PCG64(SeedSequence(draw)))
    return [int(place) for place in random.permutation(places)]
