"""From a histogram to a range, and ranges as a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgecnn.errors import DataError
from edgecnn.graph.integers import activation_qparams
from edgecnn.graph.observe import Histogram
from edgecnn.graph.ranges import METHODS, Ranges, learn
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
    learnt = learn(seen, "percentile", exact=["image"])
    assert learnt["image"] == (values.min(), values.max())
    assert learnt["maps"][1] < values.max()


RANGES = Ranges({"image": (-1.0, 1.5), "maps": (0.0, 6.0)}, "mse", "a" * 64, "b" * 64)


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.tuples(st.floats(-1e30, 0), st.floats(0, 1e30)),
        max_size=5,
    )
)
def test_ranges_survive_json(by_tensor: dict[str, tuple[float, float]]) -> None:
    ranges = Ranges(by_tensor, "mse", "a" * 64, "b" * 64)
    assert Ranges.from_json(ranges.to_json()) == ranges


def test_the_file_says_its_format() -> None:
    assert json.loads(RANGES.to_json())["format"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", RANGES.to_json()[:-20],
        RANGES.to_json().replace('"format": 1', '"format": 2'),
        RANGES.to_json().replace("6.0", "-6.0"),
        RANGES.to_json().replace("6.0", "NaN"),
        RANGES.to_json().replace("6.0", '"six"'),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError, match=r"net\.ranges\.json"):
        Ranges.from_json(text, source="net.ranges.json")


def test_ranges_of_another_graph_are_refused() -> None:
    RANGES.check(["image", "maps"], "b" * 64)
    with pytest.raises(DataError, match="logits"):
        RANGES.check(["image", "logits"], "b" * 64)
    with pytest.raises(DataError, match="another model"):
        RANGES.check(["image"], "c" * 64)
