"""From a histogram to the range of values that an activation keeps: four methods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.graph.integers import INT8_SYMMETRIC, UINT8, Integers, activation_qparams
from edgecnn.graph.observe import BINS, Histogram

PERCENTILE = 99.99

Range = tuple[float, float]
_Cost = Callable[[float, float], float]


class Threshold(Protocol):
    """Where to cut a histogram off so that these integers hold it best."""

    def __call__(self, histogram: Histogram, integers: Integers = UINT8) -> Range:
        """(low, high), inside what was seen."""
        ...


_SHARES = np.linspace(0.1, 1.0, 91)


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
PREFERRED_METHOD = "mse"
_DEPENDING = ("mse", "entropy")  # on where the integers' zero lies


def learn(
    histograms: Mapping[str, Histogram],
    method_of: Callable[[str], str],
    *,
    exact: Collection[str] = (),
    integers: Callable[[str], Integers] = lambda _: UINT8,
) -> dict[str, Range]:
    """The range of each tensor by its method; those in `exact` keep everything that was seen.

    Images are integers already: at their full range, rounding them costs nothing or little.
    The largest of the answers is the answer. `integers` says what will hold a tensor.
    """
    return {
        name: METHODS["minmax" if name in exact else method_of(name)](histogram, integers(name))
        for name, histogram in histograms.items()
    }


def learn_all(
    histograms: Mapping[str, Histogram],
    methods: Collection[str],
    *,
    exact: Collection[str] = (),
) -> dict[str, dict[str, Range]]:
    """By tensor and name, what each method keeps for any target; those in `exact` have `minmax`.

    `minmax` is always among the names. Whether integers are signed makes no difference; what a
    method keeps for zero point 0 has a name of its own (`symmetric_name`).
    """
    return {
        name: _each(histogram, () if name in exact else methods)
        for name, histogram in histograms.items()
    }


def _each(histogram: Histogram, methods: Collection[str]) -> dict[str, Range]:
    found = {"minmax": minmax(histogram)}
    for method in methods:
        found[method] = METHODS[method](histogram)
        if method in _DEPENDING:
            found[symmetric_name(method)] = METHODS[method](histogram, INT8_SYMMETRIC)
    return found


def symmetric_name(method: str) -> str:
    """What a method keeps for integers with zero point 0 is called."""
    return f"{method}_symmetric"
