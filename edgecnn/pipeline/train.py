"""Before the first arrow: a network of the zoo learns the classes of somebody's photos."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.counted import counted
from edgecnn.datasets.classes import class_words
from edgecnn.datasets.classified import Classified
from edgecnn.datasets.parts import Parts
from edgecnn.errors import UsageError
from edgecnn.files import atomic_path, human_size, write_text
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.listening import kind_of
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.train_options import TrainOptions
from edgecnn.pipeline.train_start import Begun, begin, file_stem
from edgecnn.pipeline.training_report import Judged, facts_of, judge, report_of
from edgecnn.pipeline.training_told import Teller, look_at_photos
from edgecnn.pipeline.writing import tool_versions
from edgecnn.profiling.records import Accuracy
from edgecnn.profiling.report.training import write_training
from edgecnn.runtime.cache import features_file, unfinished_file

if TYPE_CHECKING:
    from edgecnn.training.adapt import Adapted, Tune
    from edgecnn.training.learn import Epoch
    from edgecnn.training.schedule import Schedule
    from edgecnn.training.tuning import Course, Memory


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a training; `accuracy` is that of the held-out photos.

    `held_out` is the table of these, `trained` the list of all others.
    """

    path: Path
    report: Path
    held_out: Path
    trained: Path
    model: str
    accuracy: Accuracy
    epochs: tuple[Epoch, ...]
    photos: Classified
    parts: Parts
    wall_s: float


def train(
    model: str,
    *,
    options: TrainOptions,
    output: Path | None = None,
    force: bool = False,
    narrator: Narrator | None = None,
) -> TrainResult:
    """Tune a network of the zoo, or a checkpoint of ours, to photos; writes a checkpoint that says
    what it is, and beside it a report, the table of the held-out photos and the list of the others.

    The held-out photos decide nothing and are looked at once, at the end. An interrupted training
    goes on after its last whole epoch, to the same bytes. Raises UsageError, WeightsError,
    DataError or FileError.
    """
    narrator, started_s = narrator or Silent(), time.perf_counter()
    data = options.data.resolve()
    name = data.stem if data.is_file() else data.name
    target = output or Path(f"{file_stem(model)}-{name}.safetensors")
    if target.suffix.lower() != ".safetensors":
        raise UsageError(f"{target}: a checkpoint's name ends in .safetensors", hint="-o NAME")
    report, held_out, trained = (
        target.with_suffix(suffix) for suffix in (".html", ".held-out.tsv", ".trained.txt")
    )
    for path in (target, report, held_out, trained):
        check_target(path, force=force, source=Path(model))
    from edgecnn.training.schedule import Progress
    from edgecnn.training.tuning import threads

    tune, schedule = _asked(options)
    begun = begin(model, tune, options, narrator)
    photos, parts = look_at_photos(options, begun.preprocess, narrator)
    with threads(options.threads):
        course = _course(begun, tune, schedule, (photos, parts), options.augment)
        _tell_of_known_photos(narrator, begun, course)
        _tell_augmentation(narrator, options.augment, course)
        memory = _memory(begun, course, options)
        epochs = _learnt(begun.network, course, memory, narrator)
        judged = judge(begun.network.module, course)
    facts = facts_of(
        course,
        title=begun.spec.titled(begun.network.arguments),
        pretrained=begun.network.pretrained,
        data=options.data,
    )
    write_training(report_of(course, judged, epochs, facts=facts), report)
    _write_parts(held_out, trained, course)
    _save(target, begun, course, epochs, judged)
    Progress(memory.unfinished).forget()
    narrator.line("held out", _judgement(judged.accuracy, kind_of(begun.preprocess)))
    size = human_size(target.stat().st_size)
    narrator.line("wrote", f"{target}  {size}   with {report.name} and the split")
    return TrainResult(
        path=target,
        report=report,
        held_out=held_out,
        trained=trained,
        model=begun.spec.name,
        accuracy=judged.accuracy,
        epochs=epochs,
        photos=photos,
        parts=parts,
        wall_s=time.perf_counter() - started_s,
    )


def _asked(options: TrainOptions) -> tuple[Tune, Schedule]:
    """What learns, and its own schedule, changed by what was said."""
    from edgecnn.training.adapt import parse_tune
    from edgecnn.training.tuning import default_schedule

    tune = parse_tune(options.tune)
    own = default_schedule(tune, pretrained=options.weights != "random")
    return tune, dataclasses.replace(own, seed=options.seed, **options.pace.given)


def _course(
    begun: Begun,
    tune: Tune,
    schedule: Schedule,
    data: tuple[Classified, Parts],
    augment: str | None,
) -> Course:
    from edgecnn.training.augmentation import AUGMENTATIONS, choose_augmentation
    from edgecnn.training.loading import reader_threads
    from edgecnn.training.tuning import Course

    photos, parts = data
    augmentation = AUGMENTATIONS[augment or choose_augmentation(photos.labels, begun.preprocess)]
    return Course(
        name=begun.spec.name,
        spec=begun.preprocess,
        photos=photos,
        parts=parts,
        tune=tune,
        schedule=dataclasses.replace(schedule, mixup=augmentation.mixup),
        augmentation=augmentation,
        workers=reader_threads(),
    )


def _tell_of_known_photos(narrator: Narrator, begun: Begun, course: Course) -> None:
    """Warn where the weights may have been learnt from photos that are held out now."""
    before = begun.training
    if "photos_sha256" not in before:
        return
    held_out = before["held_out"]["n"] == len(course.parts.held_out)
    same = (before["photos_sha256"], before["seed"]) == (course.photos.sha256, course.schedule.seed)
    if not (held_out and same):
        narrator.warn(
            "the weights were learnt from photos, too: those that are held out now must be others, "
            "or the same as then (--data, --classes, --held-out and --seed as then)"
        )


def _tell_augmentation(narrator: Narrator, asked: str | None, course: Course) -> None:
    """Warn where random changes were asked for that have no effect."""
    if asked not in (None, "none") and course.tune.way == "head":
        narrator.warn(
            f"--augment {asked}: with --tune head features are computed once, so that photos are "
            "mirrored or mixed at most; --tune last:1 changes them as asked"
        )


def _learnt(
    network: Adapted, course: Course, memory: Memory, narrator: Narrator
) -> tuple[Epoch, ...]:
    from edgecnn.training.tuning import tune_network

    schedule = course.schedule
    most = counted(schedule.epochs, "epoch")
    narrator.line("train", f"--tune {course.tune}, at most {most}, {schedule.optimizer}")
    teller = Teller(schedule.epochs, narrator)
    try:
        with narrator.progress("train") as progress:
            epochs = tune_network(network, course, memory, heard=teller.heard, counted=progress)
    except KeyboardInterrupt:
        if teller.done:
            narrator.warn(f"interrupted behind epoch {teller.done}: the same command goes on")
        raise
    if len(epochs) < schedule.epochs:
        done = counted(len(epochs), "epoch")
        narrator.line("stopped", f"after {done}: no better for {schedule.patience}")
    return epochs


def _memory(begun: Begun, course: Course, options: TrainOptions) -> Memory:
    from edgecnn.training.tuning import Memory

    network = {
        "model": begun.spec.name,
        "weights": begun.weights_sha256,
        "preprocess": str(dataclasses.asdict(begun.preprocess)),
        **tool_versions("torch", "numpy"),
    }
    training = {
        "photos": course.photos.sha256,
        "held_out": str(options.held_out),
        "tune": str(course.tune),
        "build": json.dumps(dict(begun.network.arguments), sort_keys=True),
        "schedule": str(course.schedule),
        "augmentation": str(course.augmentation),
        "threads": str(options.threads),
    }
    return Memory(unfinished_file("training", network | training), features_file(network))


def _save(
    target: Path, begun: Begun, course: Course, epochs: tuple[Epoch, ...], judged: Judged
) -> None:
    from edgecnn.zoo.checkpoint import Identity, save_checkpoint

    accuracy = judged.accuracy
    identity = Identity(
        model=begun.spec.name,
        build=begun.network.arguments,
        preprocess=begun.preprocess,
        labels=course.photos.labels,
        training={
            "tune": str(course.tune),
            "weights_sha256": begun.weights_sha256,
            "photos": len(course.photos.paths),
            "photos_sha256": course.photos.sha256,
            "epochs": len(epochs),
            "seed": course.schedule.seed,
            "held_out": {
                "top1": accuracy.value,
                "low": accuracy.low,
                "high": accuracy.high,
                "n": accuracy.n,
            },
        },
    )
    with atomic_path(target) as temporary:
        save_checkpoint(begun.network.module, temporary, identity)


def _write_parts(held_out: Path, trained: Path, course: Course) -> None:
    """What the shipped files are to be evaluated on, and what they may be calibrated with."""
    photos, parts = course.photos, course.parts
    names = [os.path.relpath(path, held_out.parent) for path in photos.paths]
    words = class_words(photos.labels)
    rows = [f"{names[place]}\t{words[photos.classes[place]]}\n" for place in parts.held_out]
    write_text(held_out, f"file\tclass\n{''.join(rows)}")
    others = np.sort(np.concatenate([parts.train, parts.watched]))
    write_text(trained, "".join(f"{names[place]}\n" for place in others))


def _judgement(accuracy: Accuracy, kind: str) -> str:
    return (
        f"{accuracy.value:.1%} of {accuracy.n:,} {kind} right "
        f"({accuracy.low:.1%} to {accuracy.high:.1%})"
    )
