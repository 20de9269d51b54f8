"""What the sections of a recipe mean to the steps: their options, with paths beside the recipe."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from edgecnn.errors import RecipeError
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.export import ExportOptions
from edgecnn.pipeline.jury import Budget
from edgecnn.pipeline.measure import EvaluateOptions, ProfileOptions
from edgecnn.pipeline.quantize import QuantizeOptions
from edgecnn.profiling.budget import Limit
from edgecnn.profiling.run import Options
from edgecnn.recipe import (
    EvaluateSection,
    ExportSection,
    ProfileSection,
    QuantizeSection,
    Recipe,
    refuse_unknown,
)


def export_options(recipe: Recipe, section: ExportSection) -> ExportOptions:
    """`[export]` and `[preprocess]`; raises RecipeError for what `[preprocess]` does not know."""
    return ExportOptions(
        weights=_existing(section.weights, recipe),
        batch=section.batch,
        opset=section.opset,
        seed=recipe.seed,
        contract=_contract_options(recipe),
    )


def quantize_options(recipe: Recipe, section: QuantizeSection) -> QuantizeOptions:
    """`[quantize]`, judged on the data of `[evaluate]`.

    Where that is missing, it is for the step that evaluates to say so.
    """
    data, table = labelled_data(recipe)
    limit = _limit(section)
    return QuantizeOptions(
        target=section.target,
        method=section.method,
        effort=section.effort,
        ranges=recipe.input_path(section.ranges) if section.ranges else None,
        keep_float=section.keep_float,
        per_tensor=section.per_tensor,
        budget=Budget(limit, data, table, section.accept_loss) if limit else None,
        seed=recipe.seed,
        against=data if data and data.exists() else None,
    )


def evaluate_options(recipe: Recipe, section: EvaluateSection) -> EvaluateOptions | None:
    """`[evaluate]`, None where it names no data."""
    data, table = labelled_data(recipe)
    if data is None:
        return None
    return EvaluateOptions(
        data=data,
        table=table,
        engine=recipe.engine,
        threads=recipe.threads,
        class_offset=section.class_offset,
    )


def profile_options(recipe: Recipe, section: ProfileSection) -> ProfileOptions:
    """`[profile]`, with the data of `[evaluate]` where there is some."""
    data, table = labelled_data(recipe)
    return ProfileOptions(
        data=data,
        table=table,
        class_offset=recipe.evaluate.class_offset if recipe.evaluate else None,
        measuring=Options(
            engine=recipe.engine,
            threads=recipe.threads,
            boundary=section.boundary,
            precision=section.precision,
            time_limit_s=section.time_limit_s,
            seed=recipe.seed,
        ),
    )


def labelled_data(recipe: Recipe) -> tuple[Path | None, Path | None]:
    """Where the labelled images and their table are; None where the recipe has none."""
    section = recipe.evaluate
    texts = (section.data, section.labels) if section else (None, None)
    data, table = (recipe.input_path(text) if text else None for text in texts)
    return data, table


def _limit(section: QuantizeSection) -> Limit | None:
    if section.max_drop is not None:
        return Limit("drop", section.max_drop / 100)
    if section.min_agreement is not None:
        return Limit("agreement", section.min_agreement / 100)
    return None


def _contract_options(recipe: Recipe) -> ContractOptions:
    """The recipe's `[preprocess]`, whose keys are the options of the command line."""
    known = tuple(item.name for item in fields(ContractOptions) if item.name != "detection")
    refuse_unknown(recipe.preprocess, known, where=f"{recipe.path}: [preprocess]")
    values = {key: _option(key, value, recipe) for key, value in recipe.preprocess.items()}
    if "labels" in values:
        values["labels"] = recipe.input_path(str(values["labels"]))
    return ContractOptions(**values, detection=recipe.detection or None)


def _option(key: str, value: Any, recipe: Recipe) -> Any:
    """A value as the command line would have it: one number may stand for one a channel or side."""
    where = f"{recipe.path}: [preprocess] {key}"
    if key in ("size", "mean", "std"):
        numbers = tuple(value) if isinstance(value, list) else (value,)
        kind = int if key == "size" else (int, float)
        if not all(isinstance(each, kind) and not isinstance(each, bool) for each in numbers):
            raise RecipeError(
                f"{where}: {value!r} is not made of numbers", hint=f"{key} = [1, 2, 3]"
            )
        return numbers * 2 if key == "size" and len(numbers) == 1 else numbers
    return value


def _existing(word: str | None, recipe: Recipe) -> str | None:
    """A file beside the recipe by its path; any other word, `official` for one, as it is."""
    if word is not None and recipe.input_path(word).is_file():
        return str(recipe.input_path(word))
    return word
