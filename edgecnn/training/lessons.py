"""What a network learns from: photos as random views, or features that were computed once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from torch import Tensor

from edgecnn.errors import FileError
from edgecnn.files import atomic_path
from edgecnn.training.adapt import Features
from edgecnn.training.loading import Photos, batched, shuffled

Places = NDArray[np.intp]
Rows = Mapping[str, NDArray[np.float32]]  # by digest: (views, channels)

_VIEW_STREAM = 2
_WATCH_BATCH = 16
_SAVED_EVERY = 256  # photos: what a kill costs at most


class PhotoLessons:
    """Random views of photos, and the watched ones as they will be seen in use."""

    def __init__(
        self,
        views: Photos,
        plain: Photos,
        labels: NDArray[np.int64],
        parts: tuple[Places, Places],
        *,
        batch: int,
        seed: int,
    ) -> None:
        """`labels` (n,) are of all photos, `parts` the places to train with and to watch."""
        self._views, self._plain = views, plain
        self._labels = labels
        self._train, self._watched = parts
        self._batch, self._seed = min(batch, len(self._train)), seed

    @property
    def steps(self) -> int:
        """Whole batches: what is left over comes in another epoch."""
        return len(self._train) // self._batch

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every photo once, in an order and in views of this epoch."""
        order = shuffled(self._train, self._seed, epoch)[: self.steps * self._batch]
        tensors = self._views.tensors(order, draw=(self._seed, epoch))
        return self._labelled(tensors, order, self._batch)

    def watched(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The watched photos through the contract's preprocessing."""
        places = [int(place) for place in self._watched]
        return self._labelled(self._plain.tensors(places), places, _WATCH_BATCH)

    def _labelled(
        self, tensors: Iterator[Tensor], places: Sequence[int], size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for index, images in enumerate(batched(tensors, size)):
            chosen = places[index * size : index * size + len(images)]
            yield images, torch.from_numpy(self._labels[chosen])


class FeatureLessons:
    """Features of photos (n, views, channels); an epoch sees one view of each."""

    def __init__(
        self,
        features: Tensor,
        labels: NDArray[np.int64],
        parts: tuple[Places, Places],
        *,
        batch: int,
        seed: int,
    ) -> None:
        """`labels` (n,) are of all photos, `parts` the places to train with and to watch."""
        self._features, self._labels = features, torch.from_numpy(labels)
        self._train, self._watched = parts
        self._batch, self._seed = min(batch, len(self._train)), seed

    @property
    def steps(self) -> int:
        """Whole batches: what is left over comes in another epoch."""
        return len(self._train) // self._batch

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every photo once, as it is or mirrored."""
        order = torch.tensor(shuffled(self._train, self._seed, epoch))
        random = Generator(PCG64(SeedSequence((self._seed, _VIEW_STREAM, epoch))))
        views = torch.from_numpy(random.integers(self._features.shape[1], size=len(order)))
        for step in range(self.steps):
            chosen = slice(step * self._batch, (step + 1) * self._batch)
            yield self._features[order[chosen], views[chosen]], self._labels[order[chosen]]

    def watched(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The watched photos as they are."""
        if self._watched.size:
            places = torch.from_numpy(self._watched)
            yield self._features[places, 0], self._labels[places]


class FeatureFile:
    """Features by the content of the photo, kept from one training to the next.

    A file that is damaged or cannot be written costs time, nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, NDArray[np.float32]]:
        """Features (views, channels) by digest; empty where there is no whole file."""
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                return dict(zip(stored["digests"].tolist(), stored["rows"], strict=True))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return {}

    def write(self, rows: Rows) -> None:
        """Put these in the place of what was there."""
        with contextlib.suppress(OSError, FileError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, digests=np.array(list(rows)), rows=np.stack(list(rows.values())))


def compute_features(
    features: Features,
    plain: Photos,
    digests: Sequence[str],
    *,
    mirrored: bool,
    file: FeatureFile,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Features of all photos, (n, views, channels): as they are and, if wanted, `mirrored`.

    Each photo goes through by itself, so that its features do not depend on its neighbours.
    """
    known = file.read()
    missing = [place for place, digest in enumerate(digests) if digest not in known]
    for done, (place, image) in enumerate(zip(missing, plain.tensors(missing), strict=True)):
        both = torch.cat([image, image.flip(3)])
        known[digests[place]] = features(both).numpy().copy()
        if progress:
            progress(done + 1, len(missing))
        if (done + 1) % _SAVED_EVERY == 0:
            file.write(known)
    if missing:
        file.write(known)
    views = 2 if mirrored else 1
    return torch.from_numpy(np.stack([known[digest][:views] for digest in digests]))
