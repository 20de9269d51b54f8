"""How large the values inside a float model become on real images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import FloatArray


@dataclass(frozen=True, slots=True)
class Extremes:
    """The largest magnitude of a tensor's values over all images, and how many values it has."""

    largest: float
    elements: int


def find_extremes(
    model: ModelProto,
    tensors: Sequence[str],
    images: Iterable[FloatArray],
    *,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Extremes]:
    """Run a model on preprocessed images of shape (1, ...) and look at some of its tensors.

    `progress` hears how many images are done. Raises GraphError where a value is NaN or infinite.
    """
    graph_input = model.graph.input[0].name
    session = Session(model, [name for name in tensors if name != graph_input], threads=threads)
    found: dict[str, Extremes] = {}
    for done, image in enumerate(images, start=1):
        _add(found, graph_input, image)
        for name, values in zip(session.names, session.run(image), strict=True):
            _add(found, name, values)
        if progress is not None:
            progress(done)
    return found


def _add(found: dict[str, Extremes], name: str, values: Array) -> None:
    low, high = float(np.min(values, initial=0)), float(np.max(values, initial=0))
    largest = max(-low, high)
    if not np.isfinite(largest):
        raise GraphError(
            f"activation {name!r} is NaN or infinite on a calibration image",
            hint="check the model's weights and the preprocessing (scale, mean, std)",
        )
    before = found[name].largest if name in found else 0.0
    found[name] = Extremes(max(before, largest), values.size)
