"""From a network's output to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract


@dataclass(frozen=True, slots=True)
class Label:
    """One class and how likely the network holds it, 0 to 1."""

    index: int
    name: str
    score: float


def classification(output: NDArray[Any], contract: Contract, *, top: int = 5) -> tuple[Label, ...]:
    """The best classes of one image, best first; `output` holds one value a class."""
    scores = probabilities(output)
    return tuple(
        Label(index, contract.label(index), float(scores[index])) for index, _ in top_k(scores, top)
    )


def probabilities(output: NDArray[Any]) -> NDArray[np.float64]:
    """Softmax over the last axis, unless the network has already done it."""
    values = np.asarray(output, dtype=np.float64)
    if np.all(values >= 0) and np.allclose(values.sum(axis=-1), 1, atol=1e-2):
        return values
    return softmax(values)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Softmax over the last axis in float64."""
    values = np.asarray(logits, dtype=np.float64)
    raised: NDArray[np.float64] = np.exp(values - values.max(axis=-1, keepdims=True))
    total: NDArray[np.float64] = raised.sum(axis=-1, keepdims=True)
    return np.divide(raised, total)


def top_k(values: NDArray[Any], k: int) -> tuple[tuple[int, float], ...]:
    """The `k` largest of a row as (index, value), largest first, ties by the lower index."""
    order = np.argsort(-np.asarray(values, dtype=np.float64), kind="stable")[:k]
    return tuple((int(index), float(values[index])) for index in order)


def is_map(shape: tuple[int | str, ...]) -> bool:
    """Whether an output has a class for each place: (batch, classes, height, width).

    (batch, classes, 1, 1) is one row of classes, and so is (batch, 1, 1, classes), which networks
    with the channels last give. One line of places, (batch, classes, 1, width), is a map.
    """
    if len(shape) != 4:
        return False
    channels, *places = shape[1:]
    return places.count(1) < (1 if channels == 1 else 2)
