"""A training on photos or sounds as a TOML file: all but where these lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.errors import EdgecnnError, RecipeError
from edgecnn.pipeline.train_options import Pace, TrainOptions
from edgecnn.training.augmentation import AUGMENTATIONS
from edgecnn.training.recipe import read_document, refuse_unknown, section, table_of

GIVEN = ("photos", "sounds")

_WORDS = {"model": str, "tune": str, "weights": str, "augment": str, "size": int, "seed": int}
_NUMBERS = ("held_out", "seconds")
_TOP = (*_WORDS, *_NUMBERS, "data", "network", "pace")
_EXAMPLES = "see recipes/cifar10/ for examples"


def is_for_photos(path: Path) -> bool:
    """Whether a recipe wants photos, or sounds, of one's own; raises FileError or RecipeError."""
    return read_document(path).get("data") in GIVEN


def read_photo_training(path: Path, data: Path) -> tuple[str, TrainOptions]:
    """The model that a recipe names and how it is trained on the photos of `data`.

    Raises FileError where the file cannot be read and RecipeError for what it may not say.
    """
    document = read_document(path)
    try:
        return _options(document, data)
    except EdgecnnError as error:
        raise RecipeError(f"{path}: {error}", hint=error.hint) from error


def _options(document: Mapping[str, Any], data: Path) -> tuple[str, TrainOptions]:
    refuse_unknown(document, _TOP, "")
    for name, kind in _WORDS.items():
        value = document.get(name, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            raise RecipeError(f"{name} {value!r:.40} cannot be", hint=_EXAMPLES)
    for name in _NUMBERS:
        value = document.get(name, 1)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise RecipeError(f"{name} {value!r:.40} is no number", hint=_EXAMPLES)
    if "model" not in document:
        raise RecipeError("'model' is missing", hint='add: model = "mobilenetv2"')
    augment = document.get("augment")
    if augment is not None and augment not in AUGMENTATIONS:
        raise RecipeError(f"augment {augment!r:.40} cannot be", hint=", ".join(AUGMENTATIONS))
    side = document.get("size")
    said = {name: document[name] for name in ("tune", "seed", *_NUMBERS) if name in document}
    pace: Pace = section(Pace, table_of(document, "pace"), "[pace]")
    options = TrainOptions(
        data=data,
        weights=document.get("weights"),
        augment=augment,
        size=None if side is None else (side, side),
        build=table_of(document, "network"),
        pace=pace,
        **said,
    )
    return document["model"], options
