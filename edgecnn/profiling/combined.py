"""Accuracy of answers averaged over views of an image or over files, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.labelled import LabelledImages
from edgecnn.errors import DataError, UsageError
from edgecnn.profiling.accuracy import Predictions
from edgecnn.runtime.classes import best_classes
from edgecnn.runtime.model import Model
from edgecnn.runtime.results import probabilities
from edgecnn.runtime.views import Views, views_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a file answers to each image: `plain` (n, classes) float32 probabilities of the view
    that ships, `averaged` (n, classes) of all views; `plain_ns` and `all_ns` (n,) int64 are the
    engine's times for one view and for all.
    """

    file: str
    engine: str
    precision: str
    plain: NDArray[np.float32]
    averaged: NDArray[np.float32]
    plain_ns: NDArray[np.int64]
    all_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cost:
    """The engine's median time for an image in ms: of the plain file, and of what is averaged."""

    plain_ms: float
    combined_ms: float


def answer_views(
    model: Model, images: LabelledImages, views: Views, *, progress: Progress | None = None
) -> Answers:
    """Run a file on all views of all images.

    Raises UsageError for a file with a fixed batch or views that its preprocessing does not allow,
    DataError for an unreadable image or for random weights.
    """
    _check(model)
    plain, averaged, times = [], [], []
    for done, item in enumerate(images.items, start=1):
        spec = model.contract.preprocess
        tensors = views_of(read_input(item.path, spec), spec, views)
        rows, spent = zip(*(_timed(model, tensor) for tensor in tensors), strict=True)
        plain.append(rows[0])
        averaged.append(np.mean(rows, axis=0))
        # The mean over the views, since the first of them follows the decoding: cold caches.
        times.append((sum(spent) // len(spent), sum(spent)))
        if progress:
            progress(done, len(images.items))
    both = np.array(times, np.int64)
    return Answers(
        file=str(model.path),
        engine=model.engine.name,
        precision=str(model.contract.provenance.get("precision", "fp32")),
        plain=np.stack(plain),
        averaged=np.stack(averaged),
        plain_ns=both[:, 0],
        all_ns=both[:, 1],
    )


def plain_predictions(answers: Answers, images: LabelledImages) -> Predictions:
    """The file as it ships."""
    return _predictions(answers.file, answers, answers.plain, images)


def combined_predictions(
    answers: Sequence[Answers], images: LabelledImages, *, name: str
) -> tuple[Predictions, Cost]:
    """All views of all these files averaged, against the first file as it ships.

    Raises UsageError where the files have different classes.
    """
    if len({each.averaged.shape[1] for each in answers}) > 1:
        counts = ", ".join(f"{each.file} {each.averaged.shape[1]}" for each in answers)
        raise UsageError(f"their classes differ: {counts}", hint="average files of one data set")
    mean = np.mean([each.averaged for each in answers], axis=0)
    whole_ns = np.sum([each.all_ns for each in answers], axis=0)
    cost = Cost(float(np.median(answers[0].plain_ns)) / 1e6, float(np.median(whole_ns)) / 1e6)
    return _predictions(name, answers[0], mean, images), cost


def _timed(model: Model, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    started_ns = time.perf_counter_ns()
    logits = model.run(tensor)
    spent_ns = time.perf_counter_ns() - started_ns
    return probabilities(logits)[0].astype(np.float32), spent_ns


def _check(model: Model) -> None:
    if model.contract.random_weights:
        raise DataError(
            f"{model.path}: its weights are random, so it has no accuracy",
            hint="export it with real weights: edgecnn export MODEL --weights official",
        )
    if (model.engine.inputs[0].batch or 1) > 1:
        raise UsageError(
            f"{model.path}: takes {model.engine.inputs[0].batch} images a run",
            hint="export it with --batch 1",
        )


def _predictions(
    name: str, answers: Answers, rows: NDArray[np.float32], images: LabelledImages
) -> Predictions:
    top, score = best_classes(rows)
    return Predictions(
        file=name,
        engine=answers.engine,
        precision=answers.precision,
        classes=rows.shape[1],
        labels=np.array([item.class_index for item in images.items], np.int64),
        top=top,
        score=score,
    )
