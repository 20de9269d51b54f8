"""Evaluation of several views or several files together, with what that costs beside the gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.datasets.labelled import LabelledImages
from edgecnn.errors import UsageError
from edgecnn.pipeline.contracts import check_same_classes, contract_of
from edgecnn.pipeline.measure import EvaluateOptions, open_data
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.profiling.accuracy import evaluation
from edgecnn.profiling.combined import (
    Answers,
    Cost,
    answer_views,
    combined_predictions,
    plain_predictions,
)
from edgecnn.profiling.records import Evaluation
from edgecnn.runtime.loading import load
from edgecnn.runtime.views import Views

_TOLD = {"flip": "mirrored too", "five": "five crops", "ten": "five crops, mirrored too"}


@dataclass(frozen=True, slots=True)
class Combined:
    """Files as they ship, then what was averaged, each of these against one of the former."""

    alone: tuple[Evaluation, ...]
    together: tuple[tuple[Evaluation, Cost], ...]


def combine(
    files: Sequence[Path],
    *,
    options: EvaluateOptions,
    views: Views = "centre",
    ensemble: bool = False,
    narrator: Narrator | None = None,
) -> Combined:
    """Evaluate each file alone and with all views or, as an `ensemble`, all files together.

    Raises UsageError where there is nothing to average or the files do not fit each other.
    """
    narrator = narrator or Silent()
    if ensemble and len(files) < 2:
        raise UsageError("--ensemble averages files: one is none", hint="name two or more")
    contracts = {path: contract_of(path, options.contract) for path in files}
    images = open_data(
        options.data,
        contracts[files[0]],
        table=options.table,
        class_offset=options.class_offset,
    )
    check_same_classes(contracts)
    answers = []
    for path in files:
        loaded = load(
            path,
            engine=options.engine,
            threads=options.threads,
            contract=contracts[path],
            wait=True,
            check=False,
        )
        with loaded as model, narrator.progress(path.name) as progress:
            answers.append(answer_views(model, images, views, progress=progress))
    groups = [answers] if ensemble else [[each] for each in answers]
    return Combined(
        alone=tuple(evaluation(plain_predictions(each, images)) for each in answers),
        together=tuple(_together(group, images, views) for group in groups),
    )


def _together(
    answers: Sequence[Answers], images: LabelledImages, views: Views
) -> tuple[Evaluation, Cost]:
    names = [*([f"{len(answers)} files"] if len(answers) > 1 else [answers[0].file])]
    told = ", ".join([*names, *([_TOLD[views]] if views in _TOLD else [])])
    predictions, cost = combined_predictions(answers, images, name=told)
    return evaluation(predictions, reference=plain_predictions(answers[0], images)), cost
