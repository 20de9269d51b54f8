"""What the float network makes of calibration images, before it is quantized."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract, Preprocess
from edgecnn.errors import DataError
from edgecnn.graph.session import Session
from edgecnn.pipeline.colors import ColorOrder, color_order, exchanged
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Progress
from edgecnn.pipeline.scaling import (
    SCALING_IMAGES,
    Impression,
    Scaling,
    impression,
    looks_wrong,
    rescaled,
    suits_better,
    usual_ways,
)
from edgecnn.runtime.preprocess import Tensor
from edgecnn.runtime.results import probabilities

_COLOR_EVERY = 2  # images a second time with red and blue exchanged: half of them are enough


@dataclass(frozen=True, slots=True)
class Seen:
    """What the FP32 network makes of the images.

    `mean` and `std` are those of its input values. `classes` counts different best classes out of
    `known`, `largest_share` is the share of the most frequent; None where weights are random or
    the task is another. `colors` is None where nothing can be asked, `scaling` where no other scale
    suits the network better.
    """

    images: int
    mean: float
    std: float
    preprocess: Preprocess
    known: int | None = None
    classes: int | None = None
    largest_share: float | None = None
    colors: ColorOrder | None = None
    scaling: Scaling | None = None
    random_weights: bool = False


def look_through(
    model: Path, contract: Contract, parts: Sequence[Frames], progress: Progress
) -> Seen:
    """Run the float network over images; raises DataError where its answers are not finite."""
    asks = contract.task == "classification" and not contract.random_weights
    watch = _Watch(Session(model), contract, asks=asks)
    total = sum(part.count for part in parts)
    for done, tensor in enumerate(_chained(parts)):
        watch.see(tensor, twice=done % _COLOR_EVERY == 0)
        progress(done + 1, total)
    return watch.seen(lambda: _chained(parts))


def _chained(parts: Sequence[Frames]) -> Iterator[Tensor]:
    for part in parts:
        yield from part.tensors()


class _Watch:
    """Adds up what is seen, a tensor at a time."""

    def __init__(self, session: Session, contract: Contract, *, asks: bool) -> None:
        self._session, self._contract, self._asks = session, contract, asks
        self._answers: list[NDArray[np.float64]] = []
        self._pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._images = 0
        self._values = 0
        self._sum = self._square = 0.0

    def see(self, tensor: Tensor, *, twice: bool) -> None:
        values = tensor.astype(np.float64)
        self._images += len(tensor)
        self._values += values.size
        self._sum += float(values.sum())
        self._square += float(np.square(values).sum())
        if not self._asks:
            return
        answers = self._answer(tensor)
        self._answers.extend(answers)
        spec = self._contract.preprocess
        if twice and spec.channels == 3:
            again = self._answer(exchanged(tensor, spec))
            self._pairs.extend(zip(answers, again, strict=True))

    def _answer(self, tensor: Tensor) -> list[NDArray[np.float64]]:
        rows = self._rows(tensor)
        if not np.isfinite(rows).all():
            raise DataError(
                "the network's answer to a calibration image is NaN or infinite",
                hint="check its weights and the preprocessing (--scale, --mean, --std)",
            )
        return list(probabilities(rows))

    def _rows(self, tensor: Tensor) -> NDArray[np.float64]:
        output = self._session.run(tensor)[0]
        return output.reshape(len(output), -1).astype(np.float64)

    def seen(self, again: Callable[[], Iterator[Tensor]]) -> Seen:
        """All of it; `again` gives the same tensors once more, should a doubt be left."""
        mean = self._sum / max(self._values, 1)
        variance = max(self._square / max(self._values, 1) - mean**2, 0.0)
        known = classes = largest = None
        if self._answers:
            best = np.array([answer.argmax() for answer in self._answers])
            counts = np.unique(best, return_counts=True)[1]
            known, classes = self._answers[0].size, int(counts.size)
            largest = float(counts.max() / best.size)
        return Seen(
            images=self._images,
            mean=mean,
            std=variance**0.5,
            preprocess=self._contract.preprocess,
            known=known,
            classes=classes,
            largest_share=largest,
            colors=color_order(*zip(*self._pairs, strict=True)) if self._pairs else None,
            scaling=self._scaling(again),
            random_weights=self._contract.random_weights,
        )

    def _scaling(self, again: Callable[[], Iterator[Tensor]]) -> Scaling | None:
        answers = self._answers[:SCALING_IMAGES]
        if len(answers) < 2 or answers[0].size < 2:
            return None
        as_is, spec = impression(answers), self._contract.preprocess
        if not looks_wrong(as_is, answers):
            return None
        found = [
            Scaling(len(answers), as_is, self._impression(again(), other, len(answers)), other)
            for other in usual_ways(spec)
        ]
        better = [one for one in found if suits_better(one.rival, as_is)]
        return max(better, key=lambda one: one.rival.told_nats, default=None)

    def _impression(self, tensors: Iterator[Tensor], other: Preprocess, count: int) -> Impression:
        answers: list[NDArray[np.float64]] = []
        while len(answers) < count:
            tensor = rescaled(next(tensors), self._contract.preprocess, other)
            answers += list(probabilities(np.nan_to_num(self._rows(tensor))))
        return impression(answers[:count])
