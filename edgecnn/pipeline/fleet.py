"""Profiles and evaluations on a Dask cluster that the user already runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edgecnn.datasets.labelled import LabelledImages
from edgecnn.devices.fleet import Fleet, open_fleet
from edgecnn.errors import EdgecnnError, UsageError
from edgecnn.pipeline.contracts import contract_of
from edgecnn.pipeline.measure import (
    EvaluateOptions,
    ProfileOptions,
    described,
    evaluated,
    evaluations_of,
    inputs_of,
)
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.scheduler import Scheduler, fleet_of
from edgecnn.pipeline.several import Several
from edgecnn.profiling.accuracy import Predictions
from edgecnn.profiling.elsewhere import Subject
from edgecnn.profiling.fleet import predictions_of_fleet, reports_of_fleet
from edgecnn.profiling.records import Evaluation, Report
from edgecnn.profiling.report import device_line


def profile_on_fleet(
    kinds: Sequence[str],
    files: Sequence[Path],
    scheduler: Scheduler,
    *,
    options: ProfileOptions,
    narrator: Narrator,
) -> Several:
    """Profile files on one board of each kind at the same time; a kind that fails takes no other.

    Raises UsageError for a kind that is named twice or an address that is none, DeviceError where
    the fleet itself fails.
    """
    if twice := [kind for kind in kinds if kinds.count(kind) > 1]:
        raise UsageError(f"--device {twice[0]} is named twice", hint="name each kind once")
    contracts = {path: contract_of(path, options.contract) for path in files}
    measuring = dataclasses.replace(options.measuring, contracts=contracts)
    reports: dict[str, Report] = {}
    errors: list[EdgecnnError] = []
    with open_fleet(scheduler.address, plain=scheduler.plain, tell=narrator.warn) as fleet:
        fleet.check(kinds)
        images = inputs_of(options, contracts)
        for kind, found in reports_of_fleet(fleet, kinds, files, images=images, options=measuring):
            if isinstance(found, EdgecnnError):
                errors.append(found)
                continue
            narrator.line("measured", f"{kind}: {device_line(found.device)}")
            try:
                answer = partial(_answers, fleet, kind, narrator)
                known = evaluations_of(contracts, options, narrator, answer=answer)
            except EdgecnnError as error:
                errors.append(error)
                continue
            profiles = tuple(described(each, known.get(each.file)) for each in found.profiles)
            reports[kind] = dataclasses.replace(found, profiles=profiles)
    return Several(tuple(reports[kind] for kind in kinds if kind in reports), tuple(errors))


def evaluate_on_fleet(
    files: Sequence[Path],
    scheduler: Scheduler,
    *,
    options: EvaluateOptions,
    narrator: Narrator,
) -> tuple[Evaluation, ...]:
    """As `evaluate`, with the images shared out among the workers.

    Raises DeviceError, too, where the fleet fails or its workers are not alike.
    """
    with fleet_of(scheduler, tell=narrator.warn) as fleet:
        answer = partial(_answers, fleet, scheduler.kind, narrator)
        return evaluated(files, options, narrator, answer=answer)


def _answers(
    fleet: Fleet,
    kind: str | None,
    narrator: Narrator,
    subjects: Sequence[Subject],
    images: LabelledImages,
) -> dict[Path, Predictions]:
    with narrator.progress(kind or "fleet") as progress:
        return predictions_of_fleet(fleet, kind, subjects, images, progress=progress)
