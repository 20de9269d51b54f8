"""From a network's output to an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.errors import ContractError, DataError
from edgecnn.runtime.preprocess import placement


@dataclass(frozen=True, slots=True)
class Label:
    """One class and how likely the network holds it, 0 to 1."""

    index: int
    name: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What one image shows, as the likelihood of each class.

    `scores` (classes,) float64 are shares of 1. Classes below `threshold` are not named. `age_ms`
    is the time from the capture of the image to this answer, or from the call where nobody knows
    when it was captured.
    """

    scores: NDArray[np.float64]
    contract: Contract
    threshold: float = 0.0
    age_ms: float = 0.0

    def top(self, k: int = 5) -> tuple[Label, ...]:
        """The `k` best classes, best first; fewer where the threshold leaves fewer."""
        return tuple(
            Label(index, self.contract.label(index), score)
            for index, score in top_k(self.scores, k)
            if score >= self.threshold
        )

    @property
    def best(self) -> Label | None:
        """The best class, or None where the network is not sure enough of any."""
        return next(iter(self.top(1)), None)


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """A class for each place of the network's output.

    `classes` (h, w) int64; of a network with one output channel 1 where it is above zero.
    `age_ms` as of a Classification.
    """

    classes: NDArray[np.int64]
    contract: Contract
    frame_shape: tuple[int, int]
    age_ms: float = 0.0

    def in_frame(self) -> NDArray[np.int64]:
        """The class of each pixel of the frame (H, W), from the nearest place; -1 where the network
        did not look.
        """
        height, width = self.frame_shape
        place = placement(height, width, self.contract.preprocess)
        rows = self._places(height, place.scale_y, place.start_y, 0)
        columns = self._places(width, place.scale_x, place.start_x, 1)
        seen = (rows >= 0)[:, None] & (columns >= 0)[None]
        found: NDArray[np.int64] = np.where(seen, self.classes[rows[:, None], columns[None]], -1)
        return found

    def _places(self, pixels: int, scale: float, start: float, axis: int) -> NDArray[np.int64]:
        """The row or column of `classes` for each row or column of the frame, or -1."""
        side = self.contract.preprocess.size[axis]
        inside = (np.arange(pixels) + 0.5) * scale - start
        places = np.floor(inside * self.classes.shape[axis] / side).astype(np.int64)
        return np.where((inside >= 0) & (inside < side), places, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What an image looks like to a network that names nothing: one vector.

    `vector` (n,) float32 is the network's output as it is; images that are alike have a high
    `similarity`. `age_ms` as of a Classification.
    """

    vector: NDArray[np.float32]
    contract: Contract
    age_ms: float = 0.0

    def similarity(self, other: Embedding) -> float:
        """The cosine of the angle between two vectors of one network, -1 to 1; 0 for a zero.

        Raises DataError where their lengths differ.
        """
        if self.vector.shape != other.vector.shape:
            raise DataError(
                f"vectors of {self.vector.size} and {other.vector.size} values",
                hint="compare answers of one file",
            )
        return cosine(self.vector, other.vector)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The cosine of the angle between two vectors, in float64; 0 where one of them is zero."""
    a, b = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


def segmentation(
    output: NDArray[Any], contract: Contract, frame_shape: tuple[int, int]
) -> Segmentation:
    """The best class of each place; `output` is (1, classes, h, w), or (1, 1, h, w) of logits.

    Raises ContractError where it is no map.
    """
    if not is_map(output.shape):
        shape = "x".join(str(size) for size in output.shape)
        raise ContractError(
            f"{contract.name}: an output of {shape}, which is no map of classes",
            hint="its contract says segmentation: export it again",
        )
    maps = output[0]
    classes = maps[0] > 0 if len(maps) == 1 else maps.argmax(axis=0)
    return Segmentation(classes.astype(np.int64), contract, frame_shape)


def classification(output: NDArray[Any], contract: Contract, *, top: int = 5) -> tuple[Label, ...]:
    """The best classes of one image, best first; `output` holds one value a class."""
    return Classification(probabilities(output), contract).top(top)


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
