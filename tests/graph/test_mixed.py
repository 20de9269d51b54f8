"""A method for each tensor is the one that harms least behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn.errors import DataError, UsageError
from edgecnn.graph.bench import Bench
from edgecnn.graph.mixed import best_methods
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.ranges import MIXED, Ranges
from tests import toy
from tests.graph.test_quantize import IMAGES, learnt

SPOILT = 0.4  # of the range that a tensor needs


def torn(net: str, first: str = "mse", second: str = "minmax") -> tuple[Bench, Ranges]:
    """Two methods, each of which spoils every other tensor."""
    bench, ranges = learnt(toy.NETS[net]())
    by_tensor = {}
    for name, found in ranges.by_tensor.items():
        full = found["minmax"]
        bad = (SPOILT * full[0], SPOILT * full[1])
        takes_first = wanted(bench, first, second).get(name, first) == first
        by_tensor[name] = {
            first: full if takes_first else bad,
            second: bad if takes_first else full,
        }
    return bench, replace(ranges, by_tensor=by_tensor)


def wanted(bench: Bench, first: str, second: str) -> dict[str, str]:
    return {name: (first, second)[place % 2] for place, name in enumerate(bench.plan.watched)}


@pytest.mark.parametrize("net", ["plain", "concat"])
def test_each_tensor_gets_the_method_that_does_not_spoil_it(net: str) -> None:
    bench, ranges = torn(net)
    by_method = {
        method: {name: ranges.by_tensor[name][method] for name in bench.plan.watched}
        for method in ("mse", "minmax")
    }
    assert best_methods(bench.folded, bench.plan, by_method, IMAGES()) == wanted(
        bench, "mse", "minmax"
    )


def test_what_makes_no_difference_gets_the_first_method() -> None:
    bench, ranges = learnt(toy.residual())
    alike = {name: ranges.by_tensor[name]["minmax"] for name in bench.plan.watched}
    found = best_methods(bench.folded, bench.plan, {"mse": alike, "entropy": alike}, IMAGES())
    assert set(found.values()) == {"mse"}


def test_auto_takes_a_method_for_each_tensor_where_that_is_best_on_the_images_kept_aside() -> None:
    bench, ranges = torn("plain")
    first, *others = bench.starts(ranges, "auto")
    assert first.ranges.method == MIXED
    assert first.ranges.chosen == wanted(bench, "mse", "minmax")
    assert first.check.sqnr_db > max(other.check.sqnr_db for other in others) + 3


def mixed_ranges() -> Ranges:
    """As `quantize` would write them."""
    bench, ranges = torn("plain")
    return Ranges.from_json(bench.starts(ranges, "auto")[0].ranges.to_json())


def test_they_can_be_saved_and_used_again_with_other_layers_in_float() -> None:
    ranges = mixed_ranges()
    assert ranges.method_of("image") == "mse"
    assert ranges.chosen
    first, again = (
        quantize_model(toy.plain(), IMAGES, ranges=ranges, method=method, effort="fast")
        for method in ("auto", MIXED)
    )
    assert again.model.SerializeToString() == first.model.SerializeToString()
    rescued = quantize_model(
        toy.plain(), IMAGES, ranges=ranges, method=MIXED, effort="fast", keep_float=("conv_3",)
    )
    assert rescued.check.sqnr_db > first.check.sqnr_db


def test_scaled_channels_are_learnt_again_by_the_same_methods() -> None:
    bench, ranges = learnt(toy.plain())
    names = bench.plan.watched
    chosen = {name: ("minmax", "percentile")[place % 2] for place, name in enumerate(names)}
    mixed = bench.learnt_again(replace(ranges, method=MIXED, chosen=chosen))
    one = bench.learnt_again(replace(ranges, method="minmax"))
    assert mixed.ranges.chosen == chosen
    assert mixed.model != one.model


def test_one_method_for_all_can_still_be_asked_of_them() -> None:
    ranges = mixed_ranges()
    one = quantize_model(toy.plain(), IMAGES, ranges=ranges, method="minmax", effort="fast")
    mixed = quantize_model(toy.plain(), IMAGES, ranges=ranges, method=MIXED, effort="fast")
    assert one.ranges.method == "minmax"
    assert one.check.sqnr_db < mixed.check.sqnr_db - 1


def test_it_cannot_be_asked_for_where_nothing_was_chosen() -> None:
    with pytest.raises(UsageError, match="mixed"):
        quantize_model(toy.plain(), IMAGES, method=MIXED)
    _, ranges = learnt(toy.plain())
    with pytest.raises(DataError, match="none by 'mixed'"):
        quantize_model(toy.plain(), IMAGES, ranges=ranges, method=MIXED)


def test_an_unknown_method_in_a_file_is_refused() -> None:
    text = mixed_ranges().to_json().replace('"minmax", "', '"utmost", "', 1)
    with pytest.raises(DataError, match="utmost"):
        Ranges.from_json(text)
