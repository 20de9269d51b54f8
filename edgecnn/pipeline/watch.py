"""What the float network makes of calibration images, before it is quantized."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from edgecnn.runtime.preprocess import Tensor
from edgecnn.runtime.results import probabilities

_COLOR_EVERY = 2  # images a second time with red and blue exchanged: half of them are enough


@dataclass(frozen=True, slots=True)
class Seen:
    """What the FP32 network makes of the images.

    `mean` and `std` are those of its input values. `classes` counts different best classes out of
    `known`, `largest_share` is the share of the most frequent; None where weights are random or
    the task is another. `colors` is None where nothing can be asked.
    """

    images: int
    mean: float
    std: float
    preprocess: Preprocess
    known: int | None = None
    classes: int | None = None
    largest_share: float | None = None
    colors: ColorOrder | None = None
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
    return watch.seen()


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
        output = self._session.run(tensor)[0]
        if not np.isfinite(output).all():
            raise DataError(
                "the network's answer to a calibration image is NaN or infinite",
                hint="check its weights and the preprocessing (--scale, --mean, --std)",
            )
        return list(probabilities(output.reshape(len(output), -1)))

    def seen(self) -> Seen:
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
            random_weights=self._contract.random_weights,
        )
