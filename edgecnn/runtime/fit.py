"""Does a contract prepare what the graph takes?"""

from __future__ import annotations

from pathlib import Path

from edgecnn.contract import Contract, TensorSpec
from edgecnn.errors import ContractError
from edgecnn.runtime.engines.base import Engine
from edgecnn.runtime.results import is_map


def check_fit(path: Path, contract: Contract, engine: Engine) -> None:
    """Raise ContractError for a contract that prepares another input than the graph takes.

    Or that has not as many names as the graph has classes.
    """
    if len(engine.inputs) != 1:
        names = ", ".join(spec.name for spec in engine.inputs)
        raise ContractError(
            f"{path}: takes {len(engine.inputs)} inputs ({names}), an image network takes one",
            hint="export the network without its other inputs",
        )
    takes, gives = engine.inputs[0], contract.preprocess.tensor_shape()
    fits = len(takes.shape) == 4 and all(
        isinstance(size, str) or size == given
        for size, given in zip(takes.shape[1:], gives[1:], strict=False)
    )
    if not fits or takes.dtype != "float32":
        raise ContractError(
            f"{path}: takes {takes.dtype} {_shape(takes)}, its images are prepared as {gives}",
            hint="say how images are prepared: --size, --layout, --color (see --help)",
        )
    _check_names(path, contract, class_count(engine.outputs[0]))


def class_count(output: TensorSpec) -> int | None:
    """How many classes an output tells apart, None where its shape is open.

    Those of (batch, classes, 1, 1) count like those of (batch, classes).
    """
    shape = output.shape
    channels_first = len(shape) == 4 and (is_map(shape) or shape[2:] == (1, 1))
    classes = (shape[1] if channels_first else shape[-1]) if shape else None
    return classes if isinstance(classes, int) else None


def _check_names(path: Path, contract: Contract, classes: int | None) -> None:
    names = len(contract.labels)
    if contract.task == "classification" and names and classes not in (None, names):
        raise ContractError(
            f"{path}: {names} names for {classes} classes",
            hint="export it again with a file of all names: --labels",
        )


def _shape(spec: TensorSpec) -> str:
    return "x".join(str(size) for size in spec.shape)
