"""From a histogram to a range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecnn.graph.integers import INT8, INT8_SYMMETRIC, UINT8, Integers, activation_qparams
from edgecnn.graph.observe import Histogram
from edgecnn.graph.thresholds import METHODS, learn, learn_all
from tests import toy

VALUES = arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32))


def histogram(values: toy.Float) -> Histogram:
    made = Histogram()
    made.add(values)
    return made


def error(values: toy.Float, found: tuple[float, float]) -> float:
    """Mean squared error of rounding to uint8 in that range."""
    qparams = activation_qparams(*found)
    steps = np.clip(np.rint(values / qparams.scale) + qparams.zero_point, 0, 255)
    return float(np.mean(np.square((steps - qparams.zero_point) * qparams.scale - values)))


@given(VALUES, st.sampled_from(sorted(METHODS)))
def test_no_method_leaves_what_was_seen(values: toy.Float, method: str) -> None:
    low, high = METHODS[method](histogram(values))
    assert low <= high
    assert min(values.min(), 0) <= low
    assert high <= max(values.max(), 0)


def test_a_huge_outlier_is_cut_off_by_percentile_alone() -> None:
    """To the others it is worth its price: cutting it off makes one enormous error."""
    values = np.random.default_rng(0).normal(0, 1, 60_000).astype(np.float32)
    values[0] = 200.0
    highs = {name: METHODS[name](histogram(values))[1] for name in METHODS}
    assert highs["percentile"] < 5
    assert highs["percentile"] < highs["mse"] < highs["minmax"] == 200.0


def test_mse_is_the_best_of_all_in_its_own_measure() -> None:
    random = np.random.default_rng(1)
    for values in (random.normal(0, 1, 20_000), random.exponential(1, 20_000),
                   np.maximum(random.standard_t(4, 20_000), 0)):  # fmt: skip
        sample = values.astype(np.float32)
        errors = {name: error(sample, METHODS[name](histogram(sample))) for name in METHODS}
        assert errors["mse"] <= 1.02 * min(errors.values())


def test_percentile_cuts_a_ten_thousandth_off_each_side() -> None:
    values = np.linspace(-1, 1, 60_001, dtype=np.float32)
    assert METHODS["percentile"](histogram(values)) == pytest.approx((-0.9998, 0.9998), abs=2e-3)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_a_constant_activation_is_kept(method: str, value: float) -> None:
    low, high = METHODS[method](histogram(np.full(100, value, np.float32)))
    assert error(np.array([value], np.float32), (low, high)) < 1e-3


def test_images_keep_their_full_range() -> None:
    values = np.random.default_rng(2).normal(0, 1, 60_000).astype(np.float32)
    seen = {"image": histogram(values), "maps": histogram(values)}
    learnt = learn(seen, lambda _: "percentile", exact=["image"])
    assert learnt["image"] == (values.min(), values.max())
    assert learnt["maps"][1] < values.max()


@given(VALUES, st.sampled_from(sorted(METHODS)))
def test_signed_integers_take_the_range_of_unsigned_ones(values: toy.Float, method: str) -> None:
    """So that one range serves both, and what they stand for is the same, step for step."""
    seen = histogram(values)
    found = METHODS[method](seen, UINT8)
    assert METHODS[method](seen, INT8) == found
    unsigned, signed = (activation_qparams(*found, integers) for integers in (UINT8, INT8))
    assert signed.scale == unsigned.scale
    assert signed.zero_point == unsigned.zero_point - 128


def test_everything_is_learnt_at_once_for_all_targets() -> None:
    values = np.random.default_rng(4).gamma(2, 1, 60_000).astype(np.float32)
    seen = {"image": histogram(values), "maps": histogram(values)}
    learnt = learn_all(seen, tuple(METHODS), exact=["image"])
    assert learnt["image"] == {"minmax": (values.min(), values.max())}
    for method in METHODS:
        for integers, suffix in ((UINT8, ""), (INT8_SYMMETRIC, "_symmetric")):
            name = method + suffix if method in ("mse", "entropy") else method
            assert learnt["maps"][name] == METHODS[method](seen["maps"], integers)
    assert len(learnt["maps"]) == 6
    assert learn_all(seen, ["percentile"])["maps"].keys() == {"minmax", "percentile"}


@pytest.fixture(scope="module")
def heavy_tailed() -> Histogram:
    values = np.random.default_rng(0).exponential(1, 60_000) ** 1.5
    return histogram(values.astype(np.float32))


@pytest.mark.parametrize(("integers", "levels"), [(UINT8, 256), (INT8_SYMMETRIC, 128)])
def test_entropy_counts_the_levels_that_values_above_zero_have(
    heavy_tailed: Histogram, integers: Integers, levels: int
) -> None:
    """Against Migacz's definition, written out; with half the levels it keeps another range."""
    high = METHODS["entropy"](heavy_tailed, integers)[1]
    assert high == pytest.approx(best_by_definition(heavy_tailed, levels))
    assert high != pytest.approx(best_by_definition(heavy_tailed, levels // 2), rel=0.02)


def best_by_definition(seen: Histogram, levels: int) -> float:
    counts = seen.counts.astype(float)
    counts[0] = min(counts[0], counts[1])
    shares = np.linspace(0.1, 1.0, 91)
    costs = [divergence(counts, int(np.ceil(seen.high * s / seen.width)), levels) for s in shares]
    best = max(index for index, cost in enumerate(costs) if cost == min(costs))
    return float(seen.high * shares[best])


def divergence(counts: NDArray[np.float64], last: int, levels: int) -> float:
    wanted, given = counts[:last].copy(), np.zeros(last)
    wanted[-1] += counts[last:].sum()
    level_of = np.arange(last) * levels // last
    for level in np.unique(level_of):
        bins = np.flatnonzero(level_of == level)
        filled = bins[wanted[bins] > 0]
        given[filled] = counts[bins].sum() / max(len(filled), 1)
    p, q = wanted / wanted.sum(), given / given.sum()
    here = p > 0
    return float(np.sum(p[here] * np.log(p[here] / np.maximum(q[here], 1e-12))))
