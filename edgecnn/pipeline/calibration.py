"""From the word after `--calibration` to the images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomllib

from edgecnn.datasets.calibration import CalibrationSet, open_calibration
from edgecnn.errors import DataError, RecipeError
from edgecnn.files import read_error
from edgecnn.recipe import refuse_unknown

_KEYS = ("source", "count", "seed", "sha256", "split", "licence")


def find_calibration(
    word: str, *, limit: int | None = None, seed: int = 0, base: Path | None = None
) -> CalibrationSet:
    """A calibration set: a folder, a `.toml` that names one, or the words that datasets know.

    Paths are relative to `base`. A `.toml` may state the sha256 of its images, which is then
    checked. Raises DataError or RecipeError.
    """
    base = base or Path()
    if word.lower().endswith(".toml"):
        return _described(base / word, limit)
    return open_calibration(_source(word, base), limit=limit, seed=seed)


def _source(word: str, base: Path) -> str:
    """A path is put on its base; a word such as `photos:64` is left alone."""
    return str(base / word) if (base / word).exists() else word


def _described(path: Path, limit: int | None) -> CalibrationSet:
    table = _read(path)
    refuse_unknown(table, _KEYS, where=str(path))
    source, count, seed = (table.get(key) for key in ("source", "count", "seed"))
    if not isinstance(source, str):
        raise RecipeError(f"{path}: it names no source", hint='add: source = "folder of images"')
    for key, value in (("count", count), ("seed", seed)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise RecipeError(
                f"{path}: {key} {value!r} is not a whole number", hint="for example 0"
            )
    images = open_calibration(_source(source, path.parent), limit=limit or count, seed=seed or 0)
    stated = table.get("sha256")
    if stated is not None and limit is None and images.sha256 != stated:
        raise DataError(
            f"{path}: its images are not the ones it was written for (sha256 {images.sha256[:12]})",
            hint="get the same images, or take the sha256 out of the file",
        )
    return images


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise read_error(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML ({error})", hint="see calibration/") from error
