"""The contract as one JSON document, and back: what is not a whole and sane contract is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from edgecnn.contract import DAMAGED, Contract, Dimension, Golden, Preprocess, TensorSpec
from edgecnn.detection import detection_from_dict
from edgecnn.errors import ContractError
from edgecnn.melspectrogram import melspectrogram_from_dict

FORMAT = 1


def to_json(contract: Contract) -> str:
    """One line of JSON, the same bytes for the same contract."""
    document = {"format": FORMAT, **dataclasses.asdict(contract)}
    document["preprocess"] = preprocess_to_dict(contract.preprocess)
    if contract.detection is None:
        del document["detection"]
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str, *, source: str = "contract") -> Contract:
    """Read a contract; `source` names the file in errors.

    Raises ContractError for anything that is not a whole and sane contract.
    """
    try:
        document = _mapping(json.loads(text))
        if document.get("format") != FORMAT:
            raise ContractError(
                f"contract of format {document.get('format')!r}, this edgecnn reads {FORMAT}",
                hint="install the edgecnn version that wrote the file, or export it again",
            )
        return _contract(document)
    except ContractError as error:
        raise ContractError(f"{source}: {error}", hint=error.hint) from error
    except _JSON_MISTAKES as error:
        cause = " ".join(repr(error).split())[:80]
        raise ContractError(f"{source}: damaged contract ({cause})", hint=DAMAGED) from error


_JSON_MISTAKES = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


def _contract(document: dict[str, Any]) -> Contract:
    golden, detection = document.get("golden"), document.get("detection")
    return Contract(
        inputs=tuple(_tensor_spec(item) for item in document["inputs"]),
        outputs=tuple(_tensor_spec(item) for item in document["outputs"]),
        preprocess=preprocess_from_dict(document["preprocess"]),
        task=document["task"],
        labels=tuple(_text(label) for label in document["labels"]),
        golden=None if golden is None else _golden(golden),
        provenance=_provenance(_mapping(document["provenance"])),
        detection=None if detection is None else detection_from_dict(_mapping(detection)),
    )


def _tensor_spec(item: dict[str, Any]) -> TensorSpec:
    return TensorSpec(
        name=_text(item["name"]),
        dtype=_text(item["dtype"]),
        shape=tuple(_dimension(size) for size in item["shape"]),
    )


def preprocess_to_dict(spec: Preprocess) -> dict[str, Any]:
    """As plain JSON values; what earlier files had no word for is there only if it says something.

    So an older reader takes a file that needs nothing new, and refuses any other.
    """
    values = dataclasses.asdict(spec)
    unsaid = [name for name in ("pad", "melspectrogram") if values[name] is None]
    return {name: value for name, value in values.items() if name not in unsaid}


def preprocess_from_dict(values: Mapping[str, Any]) -> Preprocess:
    """A Preprocess from plain JSON or TOML values; raises ContractError or TypeError."""
    known = {item.name for item in dataclasses.fields(Preprocess)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ContractError(f"unknown preprocessing {unknown[0]!r}", hint=DAMAGED)
    arguments: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    if arguments.get("melspectrogram") is not None:
        arguments["melspectrogram"] = melspectrogram_from_dict(_mapping(values["melspectrogram"]))
    return Preprocess(**arguments)


def _golden(item: dict[str, Any]) -> Golden:
    height, width, channels = (int(side) for side in item["image_shape"])
    return Golden(
        image=_text(item["image"]),
        image_shape=(height, width, channels),
        top=tuple((int(index), float(value)) for index, value in item["top"]),
        tolerance=float(item["tolerance"]),
    )


_Value = TypeVar("_Value")


def _checked(value: object, kind: type[_Value]) -> _Value:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{kind.__name__} expected, not {value!r:.40}")
    return value


def _text(value: object) -> str:
    return _checked(value, str)


def _mapping(value: object) -> dict[str, Any]:
    return _checked(value, dict)


def _provenance(document: dict[str, Any]) -> dict[str, Any]:
    """Free in what it adds, strict in what others read."""
    for key, kind in (("weights", dict), ("steps", list), ("model", str), ("precision", str)):
        if key in document:
            _checked(document[key], kind)
    for step in document.get("steps", ()):
        _mapping(step)
    return document


def _dimension(value: object) -> Dimension:
    return value if isinstance(value, str) else _checked(value, int)
