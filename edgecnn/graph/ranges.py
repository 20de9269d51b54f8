"""From histograms to the range of values that each quantized activation keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.graph.integers import UINT8, Integers, activation_qparams
from edgecnn.graph.observe import BINS, Histogram

FORMAT = 1
PERCENTILE = 99.99

Range = tuple[float, float]
_Cost = Callable[[float, float], float]


class Threshold(Protocol):
    """Where to cut a histogram off so that these integers hold it best."""

    def __call__(self, histogram: Histogram, integers: Integers = UINT8) -> Range:
        """(low, high), inside what was seen."""
        ...


_SHARES = np.linspace(0.1, 1.0, 91)


@dataclass(frozen=True, slots=True)
class Ranges:
    """What calibration learns, to be saved and used again.

    `by_tensor` holds (low, high) of each quantized activation; the two sha256 say which images and
    which graph they belong to.
    """

    by_tensor: Mapping[str, Range]
    method: str
    calibration_sha256: str
    model_sha256: str

    def to_json(self) -> str:
        """One JSON document, the same bytes for the same ranges."""
        document = {
            "format": FORMAT,
            "method": self.method,
            "calibration_sha256": self.calibration_sha256,
            "model_sha256": self.model_sha256,
            "by_tensor": {name: list(pair) for name, pair in self.by_tensor.items()},
        }
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "ranges") -> Ranges:
        """Read what `to_json` wrote; raises DataError, which names `source`."""
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']!r}, this edgecnn reads {FORMAT}")
            return cls(
                by_tensor={str(k): _pair(v) for k, v in document["by_tensor"].items()},
                method=str(document["method"]),
                calibration_sha256=str(document["calibration_sha256"]),
                model_sha256=str(document["model_sha256"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:80]
            raise DataError(
                f"{source}: not a ranges file ({reason})", hint="calibrate again without it"
            ) from error

    def check(self, tensors: Iterable[str], model_sha256: str) -> None:
        """Raise DataError where these are the ranges of another graph."""
        missing = next((name for name in tensors if name not in self.by_tensor), None)
        if missing is None and model_sha256 == self.model_sha256:
            return
        if model_sha256 == self.model_sha256:
            raise DataError(
                f"the ranges were learnt for another target or method: none for {missing!r}",
                hint="calibrate again for this target, without --ranges",
            )
        reason = f"there is none for {missing!r}" if missing else "its weights or nodes differ"
        raise DataError(
            f"the ranges belong to another model: {reason}", hint="calibrate this one itself"
        )


def _pair(value: Sequence[float]) -> Range:
    low, high = (float(end) for end in value)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{value} is no range")
    return low, high


def minmax(histogram: Histogram, integers: Integers = UINT8) -> Range:
    """Everything that was seen."""
    return histogram.low, histogram.high


def percentile(histogram: Histogram, integers: Integers = UINT8) -> Range:
    """All but the outermost 0.01 % on each side."""
    share = np.cumsum(histogram.counts) / max(histogram.counts.sum(), 1)
    tail = 1 - PERCENTILE / 100
    edges = (np.arange(BINS + 1) + histogram.first) * histogram.width
    low = edges[np.searchsorted(share, tail, side="right")]
    high = edges[np.searchsorted(share, 1 - tail) + 1]
    return max(float(low), histogram.low), min(float(high), histogram.high)


def mse(histogram: Histogram, integers: Integers = UINT8) -> Range:
    """The range with the least squared error of rounding and saturation together."""
    centers = histogram.centers()

    def cost(low: float, high: float) -> float:
        qparams = activation_qparams(low, high, integers)
        least, most = integers.low - qparams.zero_point, integers.high - qparams.zero_point
        steps = np.clip(np.rint(centers / qparams.scale), least, most)
        return float(histogram.counts @ np.square(steps * qparams.scale - centers))

    return _search_evenly(histogram, cost) if integers.symmetric else _search(histogram, cost)


def entropy(histogram: Histogram, integers: Integers = UINT8) -> Range:
    """The range whose quantized distribution is nearest in Kullback-Leibler divergence.

    Migacz, 8-bit inference with TensorRT, GTC 2017, for a range that need not be symmetric.
    """
    counts = _without_zeros(histogram)
    edges = (np.arange(BINS) + histogram.first) * histogram.width

    def cost(low: float, high: float) -> float:
        first = max(int(np.searchsorted(edges, low, side="right")) - 1, 0)
        last = max(int(np.searchsorted(edges, high, side="left")), first + 1)
        return _divergence(counts, first, last, levels)

    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    levels = 1 + round((high - low) / float(activation_qparams(low, high, integers).scale))
    return _search_evenly(histogram, cost)


def _without_zeros(histogram: Histogram) -> NDArray[np.float64]:
    """Counts with the spike at zero, which is always exact, cut down to its neighbours."""
    counts = histogram.counts.astype(np.float64)
    zero = -histogram.first
    if 0 <= zero < BINS - 1:
        counts[zero] = min(counts[zero], counts[zero + 1])
    return counts


def _divergence(counts: NDArray[np.float64], first: int, last: int, levels: int) -> float:
    """KL(all values, saturated to bins first..last || those in between, in so many levels)."""
    inside = counts[first:last]
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    level = np.arange(inside.size) * levels // inside.size
    filled = reference > 0
    total = np.bincount(level, weights=inside, minlength=levels)
    members = np.bincount(level, weights=filled, minlength=levels)
    spread = (total / np.maximum(members, 1))[level] * filled
    p, q = reference / max(reference.sum(), 1e-30), spread / max(spread.sum(), 1e-30)
    return float(np.sum(p[filled] * np.log(p[filled] / np.maximum(q[filled], 1e-12))))


def _search_evenly(histogram: Histogram, cost: _Cost) -> Range:
    """Shrink both ends by the same share."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    share = _best(1.0, lambda share: cost(low * share, high * share))
    return low * share, high * share


def _search(histogram: Histogram, cost: _Cost) -> Range:
    """Shrink the upper end, the lower end, then the upper end again, each to its least cost."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    full_low, full_high = low, high
    for side in ("high", "low", "high"):
        if side == "high" and full_high > 0:
            high = _best(full_high, lambda value: cost(low, value))  # noqa: B023
        elif side == "low" and full_low < 0:
            low = _best(full_low, lambda value: cost(value, high))  # noqa: B023
    return low, high


def _best(full: float, cost: Callable[[float], float]) -> float:
    costs = [cost(float(full * share)) for share in _SHARES]
    return float(full * _SHARES[len(_SHARES) - 1 - int(np.argmin(costs[::-1]))])


METHODS: dict[str, Threshold] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}


def learn(
    histograms: Mapping[str, Histogram],
    method: str,
    *,
    exact: Collection[str] = (),
    integers: Callable[[str], Integers] = lambda _: UINT8,
) -> dict[str, Range]:
    """The range of each tensor by one method; those in `exact` keep everything that was seen.

    Images are integers already: at their full range, rounding them costs nothing or little.
    The largest of the answers is the answer. `integers` says what will hold a tensor.
    """
    threshold = METHODS[method]
    return {
        name: (minmax if name in exact else threshold)(histogram, integers(name))
        for name, histogram in histograms.items()
    }
