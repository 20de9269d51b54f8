"""Whether a network gets its colours in the order that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.profiling.statistics import CLAIM_CONFIDENCE, Interval, student_t
from edgecnn.runtime.preprocess import Tensor

ColorVerdict = Literal["fits", "exchanged", "cannot tell"]


@dataclass(frozen=True, slots=True)
class ColorOrder:
    """How sure a network is of images as they are and with red and blue exchanged.

    `confidence` and `exchanged_confidence` are means of the best class's probability;
    `surer_nats` is by how much the entropy of the answers grows when the colours are exchanged,
    image by image, with its interval at 99 %: above zero, the colours are right as they are.
    """

    images: int
    confidence: float
    exchanged_confidence: float
    surer_nats: Interval

    @property
    def verdict(self) -> ColorVerdict:
        """`cannot tell` where the interval holds zero."""
        if self.surer_nats.low > 0:
            return "fits"
        return "exchanged" if self.surer_nats.high < 0 else "cannot tell"


def color_order(
    as_is: Sequence[NDArray[np.float64]], exchanged: Sequence[NDArray[np.float64]]
) -> ColorOrder | None:
    """Compare the probabilities (classes,) of the same images; None where nothing differs.

    Student's interval for the mean of paired differences.
    """
    before, after = np.stack(as_is), np.stack(exchanged)
    differences = _entropy(after) - _entropy(before)
    if differences.size < 4 or not differences.any():
        return None
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    reach = student_t(CLAIM_CONFIDENCE, differences.size - 1) * spread / differences.size**0.5
    return ColorOrder(
        images=differences.size,
        confidence=float(before.max(axis=1).mean()),
        exchanged_confidence=float(after.max(axis=1).mean()),
        surer_nats=Interval(mean, mean - reach, mean + reach),
    )


def exchanged(tensor: Tensor, spec: Preprocess) -> Tensor:
    """A preprocessed batch as if red and blue had been exchanged in its images."""
    shape = (-1, 1, 1) if spec.layout == "NCHW" else (-1,)
    axis = 1 if spec.layout == "NCHW" else 3
    mean, std = (np.reshape(np.array(part, np.float32), shape) for part in (spec.mean, spec.std))
    pixels = np.flip(tensor * std + mean, axis=axis)
    return np.ascontiguousarray((pixels - mean) / std, dtype=np.float32)


def _entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    safe = np.maximum(probabilities, 1e-12)
    return -np.asarray((probabilities * np.log(safe)).sum(axis=1))
