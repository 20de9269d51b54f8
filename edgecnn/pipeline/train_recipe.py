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

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("model", "tune", "weights", "augment"), str),
    **dict.fromkeys(("size", "seed"), int),
    **dict.fromkeys(("held_out", "seconds"), (int, float)),
}
_LEAST = {"size": 1, "seed": 0}
_TOP = (*_KINDS, "data", "network", "pace")
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
    _check_values(document)
    side = document.get("size")
    said = {
        name: document[name] for name in ("tune", "seed", "held_out", "seconds") if name in document
    }
    pace: Pace = section(Pace, table_of(document, "pace"), "[pace]")
    options = TrainOptions(
        data=data,
        weights=document.get("weights"),
        augment=document.get("augment"),
        size=None if side is None else (side, side),
        build=table_of(document, "network"),
        pace=pace,
        **said,
    )
    return document["model"], options


def _check_values(document: Mapping[str, Any]) -> None:
    refuse_unknown(document, _TOP, "")
    for name, kind in _KINDS.items():
        value: Any = document.get(name)
        is_kind = isinstance(value, kind) and not isinstance(value, bool)
        if name in document and not (is_kind and value >= _LEAST.get(name, value)):
            raise RecipeError(f"{name} {value!r:.40} cannot be", hint=_EXAMPLES)
    if "model" not in document:
        raise RecipeError("'model' is missing", hint='add: model = "mobilenetv2"')
    augment = document.get("augment")
    if augment is not None and augment not in AUGMENTATIONS:
        raise RecipeError(f"augment {augment!r:.40} cannot be", hint=", ".join(AUGMENTATIONS))
