"""Does a contract prepare what the graph takes?"""

from __future__ import annotations

from pathlib import Path

from edgecnn.contract import Contract, TensorSpec
from edgecnn.errors import ContractError
from edgecnn.runtime.engines.base import Engine


def check_fit(path: Path, contract: Contract, engine: Engine) -> None:
    """Raise ContractError for a contract that prepares another input than the graph takes."""
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


def _shape(spec: TensorSpec) -> str:
    return "x".join(str(size) for size in spec.shape)
