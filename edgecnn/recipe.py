"""A recipe: one model on one target, as a TOML file that is the run.

Its sections are the steps. An unknown key is refused with the nearest known one, so that a typing
mistake never silently changes what is built.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgecnn.errors import RecipeError
from edgecnn.files import read_error

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None


@dataclass(frozen=True, slots=True)
class ExportSection:
    """`[export]`: how the network is written."""

    weights: str | None = None
    batch: int | Literal["dynamic"] = 1
    opset: int = 17


@dataclass(frozen=True, slots=True)
class QuantizeSection:
    """`[quantize]`: INT8 with these calibration images.

    `min_agreement` in percent of images or `max_drop` in points of top-1 is a budget, judged on the
    data of `[evaluate]` where there is some.
    """

    calibration: str
    images: int | None = None
    target: str | None = None
    method: str = "auto"
    effort: str = "default"
    ranges: str | None = None
    keep_float: tuple[str, ...] = ()
    per_tensor: bool = False
    min_agreement: float | None = None
    max_drop: float | None = None
    accept_loss: bool = False


@dataclass(frozen=True, slots=True)
class EvaluateSection:
    """`[evaluate]`: accuracy of the shipped files on labelled images."""

    data: str | None = None
    labels: str | None = None
    class_offset: int | None = None


@dataclass(frozen=True, slots=True)
class ProfileSection:
    """`[profile]`: latency of the shipped files."""

    boundary: Literal["engine", "frame", "throughput"] = "engine"
    precision: float = 0.02
    time_limit_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model on one target; a section that is missing is a step that is left out.

    For a `.onnx` file from elsewhere `preprocess` says how images are prepared and `detection` how
    a detector's outputs become boxes. Paths of inputs are relative to the recipe's folder, `output`
    to where the command runs.
    """

    path: Path
    model: str
    output: Path
    engine: str = "onnxruntime"
    threads: int | None = None
    seed: int = 0
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    detection: Mapping[str, Any] = field(default_factory=dict)
    export: ExportSection = field(default_factory=ExportSection)
    quantize: QuantizeSection | None = None
    evaluate: EvaluateSection | None = None
    profile: ProfileSection | None = None

    def input_path(self, text: str) -> Path:
        """A path of the recipe, relative to its folder."""
        return self.path.parent / text


_SECTIONS = {
    "export": ExportSection,
    "quantize": QuantizeSection,
    "evaluate": EvaluateSection,
    "profile": ProfileSection,
}
_PATH_KEYS = ("data", "labels", "calibration", "ranges", "weights", "model")
_TOP = ("model", "output", "engine", "threads", "seed", "preprocess", "detection", *_SECTIONS)


def read_recipe(path: Path, *, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe; `overrides` are `section.key=value` in TOML's words and win over the file.

    Raises FileError where it cannot be read, RecipeError for what no step understands.
    """
    document = _toml(path)
    for override in overrides:
        _override(document, override)
    refuse_unknown(document, _TOP, where=str(path))
    if not isinstance(document.get("model"), str):
        raise RecipeError(f"{path}: it names no model", hint='begin with: model = "mobilenetv2"')
    sections: dict[str, Any] = {
        name: _section(kind, document[name], where=f"{path}: [{name}]")
        for name, kind in _SECTIONS.items()
        if name in document
    }
    hints = typing.get_type_hints(Recipe)
    plain = {
        name: _typed(document[name], hints[name], f"{path}: {name}")
        for name in ("engine", "threads", "seed")
        if name in document
    }
    if plain.get("seed", 0) < 0:
        raise RecipeError(
            f"{path}: seed {plain['seed']} is below zero", hint="for example: seed = 0"
        )
    output = Path(_typed(document.get("output", f"build/{path.stem}"), str, f"{path}: output"))
    recipe = Recipe(path, document["model"], output, **plain, **sections)
    preprocess, detection = (_table(document, name, path) for name in ("preprocess", "detection"))
    return dataclasses.replace(recipe, preprocess=preprocess, detection=detection)


def _toml(path: Path) -> dict[str, Any]:
    if tomllib is None:
        raise RecipeError(f"{path}: recipes need Python 3.11", hint="run it on the workstation")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise read_error(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path}: not TOML ({error})", hint="see recipes/ for examples"
        ) from error


def _override(document: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not key or len(sections) > 1:
        raise RecipeError(
            f"--set {override!r} is not section.key=value",
            hint="for example: --set quantize.method='\"minmax\"' or --set threads=1",
        )
    table = document
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(
                f"--set {override!r}: {section} is not a section", hint="see recipes/"
            )
    table[key] = _from_here(key, _value(value.strip()))


def _from_here(key: str, value: Any) -> Any:
    """A path typed on the command line starts where the command runs, not at the recipe."""
    if key in _PATH_KEYS and isinstance(value, str) and Path(value).exists():
        return str(Path(value).resolve())
    return value


def _value(text: str) -> Any:
    """A value in TOML's words; what is none of them is text, so that paths need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _table(document: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise RecipeError(f"{path}: {name} is not a section", hint=f"write [{name}] above its keys")
    return table


def refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], *, where: str) -> None:
    """Raise RecipeError for the first key that is not known, with the nearest known one."""
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            advice = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            raise RecipeError(f"{where}: unknown key {key!r}", hint=advice)


_Section = TypeVar("_Section")


def _section(kind: type[_Section], table: Any, *, where: str) -> _Section:
    """A section as its dataclass, each key known and each value of its type."""
    if not isinstance(table, dict):
        raise RecipeError(f"{where}: not a section", hint="write its name in brackets on a line")
    hints = typing.get_type_hints(kind)
    refuse_unknown(table, tuple(hints), where=where)
    values = {key: _typed(value, hints[key], f"{where} {key}") for key, value in table.items()}
    missing = [item.name for item in dataclasses.fields(kind) if _is_required(item)]  # type: ignore[arg-type]
    for name in missing:
        if name not in values:
            raise RecipeError(f"{where}: {name!r} is missing", hint=f'add: {name} = "…"')
    return kind(**values)


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _typed(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    if not _fits(value, hint):
        raise RecipeError(
            f"{where}: {value!r} is not of the right type", hint=f"it is {_say(hint)}"
        )
    return float(value) if hint is float else value


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is types.UnionType or origin is typing.Union:
        return any(_fits(value, choice) for choice in typing.get_args(hint))
    if origin is Literal:
        return value in typing.get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _say(hint: Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", types.NoneType: "left out"}
    choices = typing.get_args(hint) if typing.get_origin(hint) is types.UnionType else (hint,)
    return " or ".join(names.get(choice, str(choice)) for choice in choices)
