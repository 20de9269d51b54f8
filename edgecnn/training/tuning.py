"""Teaching a network the classes of somebody's photos, in one of three ways."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgecnn.contract import Preprocess
from edgecnn.datasets.classified import Classified
from edgecnn.datasets.parts import Parts
from edgecnn.training.adapt import Adapted, Features, HeadAlone, Tune, freeze, set_training
from edgecnn.training.augmentation import Augmentation
from edgecnn.training.learn import Epoch, Learner, class_weights
from edgecnn.training.lessons import (
    FeatureFile,
    FeatureLessons,
    PhotoLessons,
    compute_features,
)
from edgecnn.training.loading import Photos, batched
from edgecnn.training.schedule import Counter, Progress, Schedule
from edgecnn.zoo.blocks import head

_JUDGED_BATCH = 16


@dataclass(frozen=True, slots=True)
class Course:
    """All that a training is made of but the network; `workers` threads read photos."""

    name: str
    spec: Preprocess
    photos: Classified
    parts: Parts
    tune: Tune
    schedule: Schedule
    augmentation: Augmentation
    workers: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives a run: the state of an unfinished training, and features of photos."""

    unfinished: Path
    features: Path


def default_schedule(tune: Tune, *, pretrained: bool) -> Schedule:
    """What suits a way: the more of a network learns and the less it knows, the longer."""
    if tune.way == "head":
        return Schedule(epochs=100, learning_rate=3e-3, batch=64, patience=25)
    # Photos of one's own are few: what is known moves slowly, what is new ten times as fast.
    known = Schedule(epochs=20, learning_rate=5e-4, ema=0.99, patience=6, head_rate=10.0)
    if tune.way == "last":
        return replace(known, norms=False)
    if pretrained:
        return replace(known, epochs=30, learning_rate=3e-4, weight_decay=0.05, patience=8)
    return Schedule(epochs=100, learning_rate=3e-3, weight_decay=0.05, ema=0.995, patience=20)


def tune_network(
    network: Adapted,
    course: Course,
    memory: Memory,
    *,
    heard: Callable[[Epoch], None] | None = None,
    counted: Counter | None = None,
) -> tuple[Epoch, ...]:
    """Train the network in place and leave it on the CPU in eval mode; returns what each epoch
    came to. `counted` hears how many photos have their features, then how many steps are done.

    Raises UsageError where the network cannot be tuned this way, DataError where a file vanished
    or the rate is so high that weights are no numbers any more.
    """
    module = network.module
    lessons: FeatureLessons | PhotoLessons
    if course.tune.way == "head":
        lessons = _features(module, course, memory, counted)
        learning: nn.Module = HeadAlone(head(module)[1])
        chosen: tuple[nn.Module, ...] = (learning,)
    else:
        chosen = freeze(module, course.tune)
        lessons, learning = _views(course), module.to(_device())
    weights = _class_weights(course) if course.schedule.balance else None
    device = next(learning.parameters()).device
    learner = Learner(
        learning,
        course.schedule,
        mode=lambda: set_training(learning, chosen, norms=course.schedule.norms),
        class_weights=None if weights is None else weights.to(device),
    )
    # One layer's steps are too small to share among threads.
    with threads(1 if course.tune.way == "head" else None), _repeatable():
        epochs = learner.learn(
            lessons, progress=Progress(memory.unfinished), heard=heard, counted=counted
        )
    module.cpu().eval()
    return epochs


def answers(network: nn.Module, course: Course, places: NDArray[np.intp]) -> NDArray[np.float32]:
    """The network's logits for some of the photos, (n, classes), through the contract's eyes."""
    plain = Photos(course.photos.paths, course.spec, workers=course.workers, keep_bytes=0)
    tensors = plain.tensors([int(place) for place in places])
    with torch.inference_mode():
        rows = [network(images).numpy() for images in batched(tensors, _JUDGED_BATCH)]
    return np.concatenate(rows)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use so many threads, None being as many as it likes."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _repeatable() -> contextlib.AbstractContextManager[None]:
    """Only those kernels of a GPU that sum in the same order every time."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)


def _features(
    module: nn.Module, course: Course, memory: Memory, counted: Counter | None
) -> FeatureLessons:
    photos, schedule = course.photos, course.schedule
    extract = Features(course.name, module, course.spec.tensor_shape())
    places = np.sort(np.concatenate([course.parts.train, course.parts.watched]))
    plain = Photos(
        [photos.paths[place] for place in places], course.spec, workers=course.workers, keep_bytes=0
    )
    rows = compute_features(
        extract,
        plain,
        [photos.looks[place].digest for place in places],
        mirrored=course.augmentation.mirror > 0,
        file=FeatureFile(memory.features),
        progress=counted,
    )
    # From places among all photos to places among those with features.
    parts = tuple(
        np.searchsorted(places, part) for part in (course.parts.train, course.parts.watched)
    )
    return FeatureLessons(
        rows,
        photos.classes[places],
        (parts[0], parts[1]),
        batch=schedule.batch,
        seed=schedule.seed,
    )


def _views(course: Course) -> PhotoLessons:
    paths, spec, workers = course.photos.paths, course.spec, course.workers
    return PhotoLessons(
        Photos(paths, spec, augmentation=course.augmentation, workers=workers),
        Photos(paths, spec, workers=workers),
        course.photos.classes,
        (course.parts.train, course.parts.watched),
        batch=course.schedule.batch,
        seed=course.schedule.seed,
    )


def _class_weights(course: Course) -> Tensor:
    trained = course.photos.classes[course.parts.train]
    return class_weights(np.bincount(trained, minlength=len(course.photos.labels)))


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
