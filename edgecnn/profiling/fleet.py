"""Profiles and accuracies from a fleet: jobs out of files and images, records out of its JSON."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.contract_json import to_json
from edgecnn.datasets.labelled import LabelledImages
from edgecnn.devices.conversation import garbage
from edgecnn.devices.fleet import Fleet, Job
from edgecnn.errors import DataError, DeviceError, EdgecnnError
from edgecnn.onnxfile import model_sha256
from edgecnn.profiling.accuracy import Predictions, Progress, refuse_random_weights
from edgecnn.profiling.elsewhere import (
    Loaded,
    Named,
    Shard,
    Subject,
    images_together,
    parse_loaded,
    parse_named,
    predictions,
    shards,
)
from edgecnn.profiling.jobs import classes_job, profile_job
from edgecnn.profiling.options import Options
from edgecnn.profiling.records import Report
from edgecnn.profiling.report import parse_report
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.worker import write_frames

_GARBAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def reports_of_fleet(
    fleet: Fleet,
    kinds: Sequence[str],
    files: Sequence[Path],
    *,
    images: Sequence[Image],
    options: Options,
) -> Iterator[tuple[str, Report | EdgecnnError]]:
    """Profile files on one board of each kind; each kind with its report, or its error.

    `options` holds a contract for each file. Raises DeviceError where the fleet itself fails.
    """
    said = dataclasses.asdict(dataclasses.replace(options, contracts={}))
    del said["contracts"]
    with _parcel([(path, options.contracts[path]) for path in files]) as (folder, parcel):
        write_frames(folder / "frames.npz", images)
        parcel["frames"] = folder / "frames.npz"
        jobs = [Job(profile_job, said, parcel, kind, alone=True) for kind in kinds]
        for job, result in fleet.results(jobs):
            kind = str(job.kind)
            try:
                yield kind, _report(result, kind, files, options.contracts)
            except EdgecnnError as error:
                yield kind, error


def predictions_of_fleet(
    fleet: Fleet,
    kind: str | None,
    subjects: Sequence[Subject],
    images: LabelledImages,
    *,
    progress: Progress | None = None,
) -> dict[Path, Predictions]:
    """What files of the same engine and threads answer to images, a shard at a time to a worker.

    Raises as `evaluate_elsewhere` does, DeviceError also where the workers are not alike.
    """
    for subject in subjects:
        refuse_random_weights(subject.path, subject.contract)
    arguments = {"engine": subjects[0].engine, "threads": subjects[0].threads}
    together = images_together(subject.contract for subject in subjects)
    drawn: dict[Job, Shard] = {}
    answers: dict[Job, list[tuple[Loaded, Named]]] = {}
    with _parcel([(each.path, each.contract) for each in subjects]) as (folder, parcel):

        def jobs() -> Iterator[Job]:
            for shard in shards(images.items, folder, together=together):
                job = Job(classes_job, arguments, {**parcel, "frames": shard.frames}, kind)
                drawn[job] = shard
                yield job

        for job, result in fleet.results(jobs()):
            answers[job] = _answers(result, len(subjects))
            drawn[job].frames.unlink()
            if progress:
                progress(sum(len(drawn[each].items) for each in answers), len(images.items))
    device = kind or "fleet"
    return {
        subject.path: predictions(
            subject.path,
            _alike([answers[job][index][0] for job in drawn], device),
            [(shard, answers[job][index][1]) for job, shard in drawn.items()],
            images=images,
            device=device,
        )
        for index, subject in enumerate(subjects)
    }


@contextmanager
def _parcel(
    models: Sequence[tuple[Path, Contract]],
) -> Iterator[tuple[Path, dict[str, Path]]]:
    """A folder for what travels, and the files of models and contracts by the names of jobs."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        parcel: dict[str, Path] = {}
        for index, (path, contract) in enumerate(models):
            beside = Path(scratch) / f"contract_{index}.json"
            beside.write_text(to_json(contract), encoding="utf-8")
            parcel |= {f"model_{index}": path, f"contract_{index}": beside}
        yield Path(scratch), parcel


def _report(
    result: Mapping[str, Any] | EdgecnnError,
    kind: str,
    files: Sequence[Path],
    contracts: Mapping[Path, Contract],
) -> Report:
    """A board's report of these very files, with their names and contracts here."""
    if isinstance(result, EdgecnnError):
        raise result
    try:
        report = parse_report(result, source=kind)
    except DataError as error:
        raise DeviceError(str(error), hint="is the edgecnn there of the same version?") from error
    shas = [profile.measurement.model_sha256 for profile in report.profiles]
    if shas != [model_sha256(path) for path in files]:
        raise DeviceError(f"{kind}: other files were measured there", hint="run it again")
    return dataclasses.replace(
        report,
        device_name=kind,
        profiles=tuple(
            dataclasses.replace(profile, file=str(path), contract=contracts[path])
            for profile, path in zip(report.profiles, files, strict=True)
        ),
    )


def _answers(result: Mapping[str, Any] | EdgecnnError, count: int) -> list[tuple[Loaded, Named]]:
    if isinstance(result, EdgecnnError):
        raise result
    try:
        found = [(parse_loaded(each), parse_named(each)) for each in result["answers"]]
    except _GARBAGE as error:
        raise garbage("a job", repr(error)) from error
    if len(found) != count:
        raise garbage("a job", f"{len(found)} answers about {count} files")
    return found


def _alike(loaded: Sequence[Loaded], device: str) -> Loaded:
    """What all workers say they have loaded: of unlike ones no sum would be one file's accuracy."""
    traits = {
        (each.sha256, each.precision, *map(each.facts.get, ("engine", "machine", "isa")))
        for each in loaded
    }
    if len(traits) != 1:
        columns = (set(map(str, column)) for column in zip(*traits, strict=True))
        told = next(" and ".join(sorted(column)) for column in columns if len(column) > 1)[:200]
        raise DeviceError(
            f"{device}: workers are not alike ({told})",
            hint="name a kind of board, --device KIND, whose workers have --resources KIND=1",
        )
    return loaded[0]
