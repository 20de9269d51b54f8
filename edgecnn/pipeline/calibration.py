"""From the word after `--calibration` to the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tomllib

from edgecnn.datasets.calibration import CalibrationSet, Survey, open_calibration, survey, word_of
from edgecnn.errors import DataError, RecipeError
from edgecnn.files import read_error
from edgecnn.pipeline.narrator import Progress
from edgecnn.recipe import refuse_unknown

_NOTES = ("split", "licence", "origin")
_KEYS = ("source", "count", "seed", "sha256", *_NOTES)


def find_calibration(
    word: str, *, limit: int | None = None, seed: int = 0, base: Path | None = None
) -> CalibrationSet:
    """A calibration set: a folder, a `.toml` that names one, or the words that datasets know.

    Paths are relative to `base`. A `.toml` may state the sha256 of its images, which is then
    checked. Raises DataError or RecipeError.
    """
    described = _described(word, limit=limit, seed=seed, base=base or Path())
    images = open_calibration(described.source, limit=described.limit, seed=described.seed)
    if problem := described.problem(images):
        raise problem
    return images


def survey_calibration(
    word: str, *, limit: int | None = None, seed: int = 0, progress: Progress | None = None
) -> tuple[Survey, DataError | None]:
    """All that lies there, good or bad, and why it is not to be calibrated with, or None.

    Raises DataError or RecipeError where there is nothing to look at.
    """
    described = _described(word, limit=limit, seed=seed, base=Path())
    found = survey(described.source, limit=described.limit, seed=described.seed, progress=progress)
    return found, found.problem or described.problem(found.images)


@dataclass(frozen=True, slots=True)
class _Description:
    """Which images are meant: `sha256` is that of a `.toml` that is taken whole."""

    source: str
    limit: int | None
    seed: int
    path: Path | None = None
    sha256: str | None = None

    def problem(self, images: CalibrationSet) -> DataError | None:
        """These are not the images that were described."""
        if self.sha256 is None or images.sha256 == self.sha256:
            return None
        return DataError(
            f"{self.path}: its images are not the ones it was written for "
            f"(sha256 {images.sha256[:12]})",
            hint="get the same images, or take the sha256 out of the file",
        )


def _described(word: str, *, limit: int | None, seed: int, base: Path) -> _Description:
    if not word.lower().endswith(".toml"):
        return _Description(_source(word, base), limit, seed)
    path = base / word
    table = _read(path)
    refuse_unknown(table, _KEYS, where=str(path))
    texts = {key: _typed(table, key, str, path) for key in ("source", "sha256", *_NOTES)}
    numbers = {key: _typed(table, key, int, path) for key in ("count", "seed")}
    if not texts["source"]:
        raise RecipeError(f"{path}: it names no source", hint='add: source = "folder of images"')
    source = _source(texts["source"], path.parent)
    if texts["origin"] and word_of(source) is None and not Path(source).exists():
        raise DataError(
            f"{path}: its images are not in {path.parent / source}",
            hint=f"where they come from: {texts['origin']}",
        )
    return _Description(
        source=source,
        limit=limit or numbers["count"],
        seed=numbers["seed"] or 0,
        path=path,
        sha256=texts["sha256"] if limit is None else None,
    )


_Value = TypeVar("_Value", int, str)


def _typed(table: Mapping[str, Any], key: str, kind: type[_Value], path: Path) -> _Value | None:
    value = table.get(key)
    is_fit = isinstance(value, kind) and not isinstance(value, bool)
    if value is None or (is_fit and not (isinstance(value, int) and value < 0)):
        return value
    word, example = ("a whole number", "0") if kind is int else ("text", '"photos/"')
    raise RecipeError(f"{path}: {key} {value!r} is not {word}", hint=f"for example {example}")


def _source(word: str, base: Path) -> str:
    """A path is put on its base; a word such as `photos:64` is left alone."""
    return str(base / word) if (base / word).exists() else word


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise read_error(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML ({error})", hint="see calibration/") from error
