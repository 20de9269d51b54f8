"""What came of a training, for its report: held-out answers, curves, the worst photos."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.sheets import data_uri
from edgecnn.pipeline.listening import heard, kind_of
from edgecnn.profiling.records import Accuracy
from edgecnn.profiling.report.training import Curve, Training, Worst
from edgecnn.profiling.statistics import wilson_interval
from edgecnn.runtime.preprocess import Image, picture
from edgecnn.runtime.results import probabilities

if TYPE_CHECKING:
    from torch import nn

    from edgecnn.training.learn import Epoch
    from edgecnn.training.tuning import Course

_WORST = 24
_THUMBNAIL_SIDE = 160


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Held-out photos: `places` (n,) among all, `shown` and `answered` (n,) class indices,
    `probability` (n,) that of the answer.
    """

    places: NDArray[np.intp]
    shown: NDArray[np.int64]
    answered: NDArray[np.int64]
    probability: NDArray[np.float64]

    @property
    def accuracy(self) -> Accuracy:
        """Top-1 with Wilson's interval."""
        interval = wilson_interval(int(np.sum(self.shown == self.answered)), len(self.shown))
        return Accuracy("top1", interval.value, interval.low, interval.high, len(self.shown))


def judge(network: nn.Module, course: Course) -> Judged:
    """What a network answers to the photos that have decided nothing."""
    from edgecnn.training.tuning import answers

    places = course.parts.held_out
    logits = answers(network, course, places)
    return Judged(
        places=places,
        shown=course.photos.classes[places],
        answered=logits.argmax(axis=1).astype(np.int64),
        probability=probabilities(logits).max(axis=1).astype(np.float64),
    )


def report_of(
    course: Course,
    judged: Judged,
    epochs: tuple[Epoch, ...],
    *,
    facts: tuple[tuple[str, str], ...],
) -> Training:
    """All that the report tells."""
    classes = len(course.photos.labels)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (judged.shown, judged.answered), 1)
    parts = (course.parts.train, course.parts.watched, course.parts.held_out)
    counts = [np.bincount(course.photos.classes[part], minlength=classes) for part in parts]
    return Training(
        title=f"{course.name} on {classes} classes",
        created=datetime.now().astimezone(),
        labels=course.photos.labels,
        accuracy=judged.accuracy,
        curves=_curves(epochs),
        confusion=confusion,
        worst=_worst(course, judged),
        counts=np.stack(counts, axis=1).astype(np.int64),
        broken=tuple(str(error) for error in course.photos.broken),
        facts=facts,
        kind=kind_of(course.spec),
    )


def facts_of(
    course: Course, *, title: str, pretrained: bool, data: Path
) -> tuple[tuple[str, str], ...]:
    """How it was trained, as the report lists it."""
    schedule, augmentation = course.schedule, course.augmentation
    changes = {
        item.name: getattr(augmentation, item.name)
        for item in dataclasses.fields(augmentation)
        if getattr(augmentation, item.name) != item.default
    }
    told = ", ".join(f"{name} {value:.3g}" for name, value in changes.items()) or "none"
    if course.tune.way == "head":
        told = "mirrored: features are computed once" if augmentation.mirror else "none"
    rate = f"{schedule.learning_rate:g} at most, a cosine down to 0"
    return (
        ("network", title),
        ("start", "random weights" if not pretrained else "pretrained weights"),
        ("what learns", str(course.tune)),
        ("optimizer", f"{schedule.optimizer}, rate {rate}, decay {schedule.weight_decay:g}"),
        ("batch", str(schedule.batch)),
        ("label smoothing", f"{schedule.label_smoothing:g}"),
        ("running mean of weights", f"{schedule.ema:g}" if schedule.ema else "none"),
        ("loss", "rare classes weigh more" if schedule.balance else "all weigh the same"),
        ("random changes", told),
        ("seed", str(schedule.seed)),
        ("data", str(data)),
        (f"{kind_of(course.spec)}' sha256", course.photos.sha256),
        *_listening(course.spec),
    )


def _listening(spec: Preprocess) -> tuple[tuple[str, str], ...]:
    return () if spec.melspectrogram is None else (("listens to", heard(spec.melspectrogram)),)


def _curves(epochs: tuple[Epoch, ...]) -> tuple[Curve, ...]:
    loss = [("train", tuple(epoch.loss for epoch in epochs))]
    accuracy = [("train", tuple(100 * epoch.accuracy for epoch in epochs))]
    watched = [epoch for epoch in epochs if epoch.watched_loss is not None]
    if watched:
        loss.append(("watched", tuple(epoch.watched_loss or 0.0 for epoch in watched)))
        right = tuple(100 * (epoch.watched_accuracy or 0.0) for epoch in watched)
        accuracy.append(("watched", right))
    return Curve("loss", tuple(loss)), Curve("accuracy, %", tuple(accuracy))


def _worst(course: Course, judged: Judged) -> tuple[Worst, ...]:
    """Wrong answers, the surest first."""
    wrong = np.flatnonzero(judged.shown != judged.answered)
    order = wrong[np.argsort(-judged.probability[wrong], kind="stable")][:_WORST]
    labels, paths = course.photos.labels, course.photos.paths
    return tuple(
        Worst(
            picture=data_uri(_picture(course, judged.places[index]), side=_THUMBNAIL_SIDE),
            file=paths[judged.places[index]].name,
            shown=labels[judged.shown[index]],
            answered=labels[judged.answered[index]],
            probability=float(judged.probability[index]),
        )
        for index in order
    )


def _picture(course: Course, place: int) -> Image:
    """A photo as it is, or what a sound looks like."""
    return picture(read_input(course.photos.paths[place], course.spec), course.spec)
