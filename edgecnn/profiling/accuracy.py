"""The accuracy of a shipped file, on the shipped engine, through the shipped preprocessing."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.labelled import LabelledImage, LabelledImages
from edgecnn.errors import DataError, ModelError
from edgecnn.profiling.records import Accuracy, Evaluation, Paired
from edgecnn.profiling.statistics import (
    Interval,
    mcnemar_p,
    paired_drop_interval,
    wilson_interval,
)
from edgecnn.runtime.classes import TOP, best_classes, images_a_run
from edgecnn.runtime.loading import load
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Tensor

Progress = Callable[[int, int], None]

_AHEAD = 16  # images held ready: memory does not grow with the set


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a file answered to labelled images, in their order.

    `labels` (n,) int64 are the classes shown; `top` (n, k) int64 the best classes, best first,
    with k = 5, or all classes where there are fewer; `score` (n,) float64 the best one's
    probability.
    """

    file: str
    engine: str
    precision: str
    classes: int
    labels: NDArray[np.int64]
    top: NDArray[np.int64]
    score: NDArray[np.float64]
    device: str = "local"

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best class is the right one, (n,)."""
        hit: NDArray[np.bool_] = self.top[:, 0] == self.labels
        return hit


def evaluate_file(
    path: Path,
    images: LabelledImages,
    *,
    engine: str = "onnxruntime",
    threads: int | None = None,
    contract: Contract | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Load a file as the camera does and answer all images; see `evaluate_model`.

    `threads` None is all cores; `contract` stands in for a file that carries none. Also raises
    what loading a file raises.
    """
    loaded = load(path, engine=engine, threads=threads, contract=contract, wait=True, check=False)
    with loaded as model:
        return evaluate_model(model, images, progress=progress)


def evaluate_model(
    model: Model,
    images: LabelledImages,
    *,
    progress: Progress | None = None,
) -> Predictions:
    """Answer all images; `progress` hears (images done, images in all).

    Raises DataError for an unreadable image, a class that the model does not have, or random
    weights, of which no accuracy is ever told; ModelError for outputs that are no numbers.
    """
    refuse_random_weights(model.path, model.contract)
    done, parts = 0, []
    for items, tensor in _batches(model, images.items):
        logits = model.run(tensor)
        if not done:
            check_classes(images, logits.shape[1])
        _check_finite(model, items, logits)
        parts.append(best_classes(logits))
        done += len(items)
        if progress:
            progress(done, len(images.items))
    return Predictions(
        file=str(model.path),
        engine=model.engine.name,
        precision=model.precision,
        classes=logits.shape[1],
        labels=np.array([item.class_index for item in images.items], dtype=np.int64),
        top=np.concatenate([top for top, _ in parts]),
        score=np.concatenate([score for _, score in parts]),
    )


def evaluation(predictions: Predictions, *, reference: Predictions | None = None) -> Evaluation:
    """Top-1 and top-5 with Wilson's intervals; paired with a reference on the same images."""
    found = (predictions.top == predictions.labels[:, None]).any(axis=1)
    return Evaluation(
        file=predictions.file,
        engine=predictions.engine,
        precision=predictions.precision,
        device=predictions.device,
        n=predictions.labels.size,
        top1=_share("top1", predictions.right),
        top5=_share("top5", found) if predictions.classes > TOP else None,
        paired=compare_predictions(reference, predictions) if reference else None,
    )


def compare_predictions(reference: Predictions, other: Predictions) -> Paired:
    """What changes from `reference` to `other` on the same images; raises DataError."""
    if not np.array_equal(reference.labels, other.labels):
        raise DataError(
            f"{reference.file} and {other.file} were evaluated on different images",
            hint="evaluate both on the same --data",
        )
    lost = int(np.sum(reference.right & ~other.right))
    won = int(np.sum(~reference.right & other.right))
    n = other.labels.size
    return Paired(
        against=reference.file,
        n=n,
        right_to_wrong=lost,
        wrong_to_right=won,
        mcnemar_p=mcnemar_p(lost, won),
        agreement=float(np.mean(reference.top[:, 0] == other.top[:, 0])),
        drop=_accuracy("top1_drop", paired_drop_interval(lost, won, n), n),
    )


def _share(metric: str, hits: NDArray[np.bool_]) -> Accuracy:
    return _accuracy(metric, wilson_interval(int(hits.sum()), hits.size), hits.size)


def _accuracy(metric: str, interval: Interval, n: int) -> Accuracy:
    return Accuracy(metric, interval.value, interval.low, interval.high, n)


def refuse_random_weights(path: Path, contract: Contract) -> None:
    """Raise DataError where a file's weights are random."""
    if contract.random_weights:
        raise DataError(
            f"{path}: its weights are random, so it has no accuracy",
            hint="export it with real weights: edgecnn export MODEL --weights official",
        )


def check_classes(images: LabelledImages, classes: int) -> None:
    """Raise DataError where an image shows a class that a model with so many does not have."""
    for item in images.items:
        if not 0 <= item.class_index < classes:
            raise DataError(
                f"{item.path}: class {item.class_index}, but the model has 0 to {classes - 1}",
                hint="give the labels that belong to this model: --labels FILE",
            )


def _check_finite(
    model: Model, items: tuple[LabelledImage, ...], logits: NDArray[np.float32]
) -> None:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if bad.size:
        raise ModelError(
            f"{model.path}: gives values that are no numbers for {items[bad[0]].path}",
            hint="export it again and check the preprocessing: edgecnn verify FILE",
        )


def _batches(
    model: Model, items: Iterable[LabelledImage]
) -> Iterator[tuple[tuple[LabelledImage, ...], Tensor]]:
    """The images in runs of the file's batch, preprocessed."""
    size = images_a_run(model)
    prepared = _prepared(model, items)
    while chunk := tuple(itertools.islice(prepared, size)):
        chosen, tensors = zip(*chunk, strict=True)
        yield chosen, np.concatenate(tensors)


def _prepared(
    model: Model, items: Iterable[LabelledImage]
) -> Iterator[tuple[LabelledImage, Tensor]]:
    """Images decoded and preprocessed on a second core while the engine has the first."""
    waiting: deque[tuple[LabelledImage, Future[Tensor]]] = deque()
    with ThreadPoolExecutor(max_workers=1) as reader:
        try:
            for item in items:
                waiting.append((item, reader.submit(_prepare, model, item.path)))
                if len(waiting) > _AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        finally:
            reader.shutdown(cancel_futures=True)


def _prepare(model: Model, path: Path) -> Tensor:
    return model.preprocess(read_input(path, model.contract.preprocess))
