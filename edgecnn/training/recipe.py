"""A training recipe: what is trained, on what and how, as a TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import tomllib
import torch

from edgecnn.contract_json import preprocess_from_dict
from edgecnn.datasets.digits import CLASSES
from edgecnn.errors import EdgecnnError, RecipeError
from edgecnn.files import read_error
from edgecnn.training.digits import DigitsNetwork
from edgecnn.training.fit import FitOptions
from edgecnn.zoo import find
from edgecnn.zoo.count import macs

_TOP = ("model", "data", "network", "preprocess", "fit")
_EXAMPLES = "see recipes/digits/ for examples"


def read_training(path: Path) -> DigitsNetwork:
    """The network that a recipe describes, ready for `train_digits`.

    Raises FileError where the file cannot be read and RecipeError for what cannot be trained.
    """
    document = read_document(path)
    try:
        network = _network(document)
        _try(network)
    except EdgecnnError as error:
        raise RecipeError(f"{path}: {error}", hint=error.hint) from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        # What PyTorch makes of arguments that no network can have.
        cause = " ".join(str(error).split())
        raise RecipeError(f"{path}: {cause:.120}", hint=_EXAMPLES) from error
    return network


def read_document(path: Path) -> dict[str, Any]:
    """A recipe as TOML has it; raises FileError or RecipeError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise read_error(path, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML ({error})", hint=_EXAMPLES) from error


def _network(document: Mapping[str, Any]) -> DigitsNetwork:
    refuse_unknown(document, _TOP, "")
    if document.get("data") != "digits":
        raise RecipeError(
            f"data {document.get('data')!r:.40} is not known", hint='write: data = "digits"'
        )
    arguments = table_of(document, "network")
    if "num_classes" in arguments:
        raise RecipeError("[network]: num_classes follows from the data", hint="leave it out")
    return DigitsNetwork(
        name=find(str(document.get("model"))).name,
        arguments={"num_classes": len(CLASSES), **arguments},
        preprocess=preprocess_from_dict(table_of(document, "preprocess")),
        fit=section(FitOptions, table_of(document, "fit"), "[fit]"),
    )


def _try(network: DigitsNetwork) -> None:
    """Build it without values and send one image through: what does not fit is an error."""
    with torch.device("meta"):
        macs(network.build(), network.preprocess.tensor_shape())


def table_of(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A section, empty where there is none; raises RecipeError for a mere value."""
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise RecipeError(f"{name} is not a section", hint=f"write [{name}] above its keys")
    return table


def section(kind: type[Any], table: Mapping[str, Any], where: str) -> Any:
    """A table as its dataclass, each key known and each value of its type; raises RecipeError."""
    hints = typing.get_type_hints(kind)
    refuse_unknown(table, hints, f"{where}: ")
    for item in dataclasses.fields(kind):
        optional = item.default_factory is not dataclasses.MISSING
        if not optional and item.default is dataclasses.MISSING and item.name not in table:
            raise RecipeError(f"{where}: {item.name!r} is missing", hint=f"add: {item.name} = …")
    values = {name: _value(value, hints[name], f"{where} {name}") for name, value in table.items()}
    return kind(**values)


def _value(value: Any, hint: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return section(hint, value, where)
    # What may be left out is a union with None.
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is Literal:
        fits = value in typing.get_args(hint)
    else:
        kinds = (int, float) if hint is float else (hint,)
        fits = isinstance(value, kinds) and isinstance(value, bool) == (hint is bool)
    if not fits:
        raise RecipeError(f"{where}: {value!r:.40} cannot be", hint=_EXAMPLES)
    return float(value) if hint is float else value


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise RecipeError for a key that is not known, with the nearest one that is."""
    names = list(known)
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
            advice = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"
            raise RecipeError(f"{where}unknown key {key!r}", hint=advice)
