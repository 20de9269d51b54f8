"""A recipe's values, looked at before the first step: a wrong one must not cost an hour."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from edgecnn.errors import RecipeError, UsageError
from edgecnn.graph.quantize import EFFORTS
from edgecnn.graph.targets import TARGETS
from edgecnn.graph.thresholds import METHODS
from edgecnn.recipe import (
    EvaluateSection,
    ExportSection,
    ProfileSection,
    QuantizeSection,
    Recipe,
)
from edgecnn.runtime.auto import AUTO
from edgecnn.runtime.compiled import ENGINES
from edgecnn.runtime.engines.providers import ONNXRUNTIME, find_provider

_OPSETS = range(17, 22)
_LEAST_IMAGES = 16

Problem = tuple[str, str]
"""What is wrong, and what would be right."""


def check_values(recipe: Recipe) -> None:
    """Raise RecipeError for the first value that no step would accept."""
    problems = [*_engine(recipe.engine), *_export(recipe.export)]
    if recipe.threads is not None and recipe.threads < 1:
        problems.append((f"threads {recipe.threads} is not above zero", "for example: threads = 1"))
    if recipe.quantize:
        problems += _quantize(recipe.quantize)
        problems += _budget(recipe.quantize, recipe.evaluate)
    if recipe.profile:
        problems += _profile(recipe.profile)
    if recipe.evaluate and recipe.evaluate.class_offset is not None:
        problems += _class_offset(recipe.evaluate.class_offset)
    for cause, hint in problems:
        raise RecipeError(f"{recipe.path}: {cause}", hint=hint)


def _engine(name: str) -> Iterator[Problem]:
    if not name.startswith(f"{ONNXRUNTIME}:"):
        yield from _word("engine", name, (AUTO, *ENGINES))
        return
    try:
        find_provider(name)
    except UsageError as error:
        yield str(error), error.hint


def _word(key: str, value: str, known: Iterable[str]) -> Iterator[Problem]:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
        yield f"unknown {key} {value!r}", advice


def _export(section: ExportSection) -> Iterator[Problem]:
    if section.batch != "dynamic" and section.batch < 1:
        yield f"[export] batch {section.batch} is not above zero", 'batch = 1 or batch = "dynamic"'
    if section.opset not in _OPSETS:
        known = f"{_OPSETS[0]} to {_OPSETS[-1]}"
        yield f"[export] opset {section.opset} cannot be written", f"it may be {known}"


def _quantize(section: QuantizeSection) -> Iterator[Problem]:
    yield from _word("[quantize] method", section.method, ("auto", *METHODS))
    yield from _word("[quantize] effort", section.effort, EFFORTS)
    if section.target is not None:
        yield from _word("[quantize] target", section.target, TARGETS)
    if section.images is not None and section.images < _LEAST_IMAGES:
        yield (
            f"[quantize] images {section.images}: too few to calibrate on",
            f"images = {_LEAST_IMAGES} or more",
        )


def _class_offset(offset: int) -> Iterator[Problem]:
    if offset < 0:
        yield (
            f"[evaluate] class_offset {offset} is below zero",
            "class_offset = 1 where the first output means 'background'",
        )


def _budget(section: QuantizeSection, evaluate: EvaluateSection | None) -> Iterator[Problem]:
    agreement, drop = section.min_agreement, section.max_drop
    if agreement is not None and drop is not None:
        yield "[quantize] min_agreement and max_drop: one budget at a time", "take one of them out"
    if agreement is not None and not 1 < agreement <= 100:
        yield f"[quantize] min_agreement {agreement:g} is no percentage", "min_agreement = 97"
    if drop is not None and not 0 <= drop <= 100:
        yield f"[quantize] max_drop {drop:g} is no number of points", "max_drop = 0.5"
    if drop is not None and (evaluate is None or evaluate.data is None):
        yield (
            "[quantize] max_drop needs labelled images",
            'add data = "labelled/" under [evaluate], or use min_agreement, which needs none',
        )
    if section.accept_loss and agreement is None and drop is None:
        yield "[quantize] accept_loss goes with min_agreement or max_drop", "give one of them"


def _profile(section: ProfileSection) -> Iterator[Problem]:
    if not 0 < section.precision <= 1:
        yield f"[profile] precision {section.precision} is no share", "for example: 0.02"
    if not section.time_limit_s > 0:
        yield (
            f"[profile] time_limit_s {section.time_limit_s} is not above zero",
            "for example: time_limit_s = 60",
        )
