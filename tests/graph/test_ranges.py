"""What calibration learnt, as a file that serves every target."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto

from edgecnn.errors import DataError
from edgecnn.graph.fold import fold
from edgecnn.graph.integers import INT8_SYMMETRIC
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import make_plan
from edgecnn.graph.quantize import Quantized, quantize_model
from edgecnn.graph.ranges import Ranges
from edgecnn.graph.targets import TARGETS
from edgecnn.graph.thresholds import METHODS
from edgecnn.graph.watched import watched_by_all
from tests import toy

MAPS = {"minmax": (0.0, 9.0), "mse": (0.0, 6.0), "mse_symmetric": (0.0, 5.0)}
RANGES = Ranges({"image": {"minmax": (-1.0, 1.5)}, "maps": MAPS}, "mse", "a" * 64, "b" * 64)
PAIRS = st.tuples(st.floats(-1e30, 0), st.floats(0, 1e30))


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.fixed_dictionaries({"minmax": PAIRS}, optional={"mse": PAIRS, "mse_symmetric": PAIRS}),
        max_size=5,
    )
)
def test_ranges_survive_json(by_tensor: dict[str, dict[str, tuple[float, float]]]) -> None:
    ranges = Ranges(by_tensor, "mse", "a" * 64, "b" * 64)
    assert Ranges.from_json(ranges.to_json()) == ranges


def test_the_file_says_its_format_and_has_a_line_for_each_tensor() -> None:
    assert json.loads(RANGES.to_json())["format"] == 2
    row = '"maps": {"minmax": [0.0, 9.0], "mse": [0.0, 6.0], "mse_symmetric": [0.0, 5.0]}'
    assert row in map(str.strip, RANGES.to_json().splitlines())


def test_the_chosen_method_counts_and_the_place_of_zero() -> None:
    assert RANGES.range_of("maps") == (0.0, 6.0)
    assert RANGES.range_of("maps", INT8_SYMMETRIC) == (0.0, 5.0)
    assert RANGES.range_of("image", INT8_SYMMETRIC) == (-1.0, 1.5)
    assert replace(RANGES, method="minmax").range_of("maps", INT8_SYMMETRIC) == (0.0, 9.0)
    assert RANGES.methods == ("minmax", "mse")


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", RANGES.to_json()[:-20],
        RANGES.to_json().replace('"format": 2', '"format": 3'),
        RANGES.to_json().replace("6.0", "-6.0"),
        RANGES.to_json().replace("6.0", "NaN"),
        RANGES.to_json().replace("6.0", '"six"'),
        RANGES.to_json().replace("minmax", "all"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError, match=r"net\.ranges\.json"):
        Ranges.from_json(text, source="net.ranges.json")


def test_a_file_for_one_target_alone_is_refused_for_that_reason() -> None:
    """Its format is the one that earlier versions wrote."""
    with pytest.raises(DataError, match="format 1 hold one target") as refused:
        Ranges.from_json('{"format": 1, "by_tensor": {"maps": [0.0, 6.0]}}', source="old.json")
    assert "old.json" in str(refused.value)


def test_ranges_of_another_graph_are_refused() -> None:
    RANGES.check(["image", "maps"], "b" * 64)
    with pytest.raises(DataError, match="logits"):
        RANGES.check(["image", "logits"], "b" * 64)
    with pytest.raises(DataError, match="another model"):
        RANGES.check(["image"], "c" * 64)


def test_a_method_that_was_not_learnt_is_refused() -> None:
    for method in ("auto", "minmax", "mse"):
        RANGES.check_method(method)
    with pytest.raises(DataError, match="hold minmax, mse, and none by 'entropy'"):
        RANGES.check_method("entropy")


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_all_is_watched_that_a_target_quantizes_with_and_without_floats(name: str) -> None:
    folded = fold(read_model(toy.NETS[name]()))
    layer = make_plan(folded, TARGETS["tensorrt"]).layers[1].name
    seen = watched_by_all(folded, keep_float=(layer,))
    for target in TARGETS.values():
        for kept in ((), (layer,)):
            assert set(make_plan(folded, target, keep_float=kept).watched) <= set(seen.tensors)
    assert len(set(seen.tensors)) == len(seen.tensors)


IMAGES = toy.images(30)


@cache
def fresh(target: str, method: str) -> Quantized:
    """Calibrated for this target alone."""
    return quantize_model(joined(), IMAGES, target=target, method=method, effort="fast")


def joined() -> ModelProto:
    """What the targets treat differently: a join, a residual sum, a point-wise function, logits."""
    net = toy.Net(seed=6)
    maps = net.relu(net.conv("image", 8))
    both = net.node("Concat", net.relu(net.conv(maps, 8, 1)), net.relu6(net.conv(maps, 8)), axis=1)
    net._channels[both] = 16
    maps = net.node("Add", both, net.conv(both, 16))
    maps = net.node("LeakyRelu", net.conv(maps, 16), alpha=0.1)
    return net.model(net.head(net.node("Mul", maps, net.node("Sigmoid", maps))))


def reused(one: str, other: str, method: str = "auto") -> Quantized:
    """For the other target, with the file that was written for the one."""
    ranges = Ranges.from_json(fresh(one, "auto").ranges.to_json())
    return quantize_model(
        joined(), IMAGES, target=other, method=method, effort="fast", ranges=ranges
    )


@pytest.mark.parametrize(("one", "other"), list(permutations(sorted(TARGETS), 2)))
def test_one_calibration_serves_every_target(one: str, other: str) -> None:
    """The file of one target gives another the very bytes of a calibration of its own."""
    again, wanted = reused(one, other), fresh(other, "auto")
    assert again.ranges.method == wanted.ranges.method
    assert again.model.SerializeToString() == wanted.model.SerializeToString()


@pytest.mark.parametrize("target", ["onnxruntime-arm", "tensorrt"])
def test_any_of_its_methods_can_be_asked_for(target: str) -> None:
    again, wanted = reused("onnxruntime-x86", target, "entropy"), fresh(target, "entropy")
    assert again.model.SerializeToString() == wanted.model.SerializeToString()


def test_symmetric_integers_have_ranges_of_their_own() -> None:
    """Else the test above would hold without them."""
    learnt = fresh("tensorrt", "auto").ranges
    assert set(learnt.methods) == set(METHODS)
    pairs = [
        (row["mse"], row["mse_symmetric"]) for row in learnt.by_tensor.values() if "mse" in row
    ]
    assert any(one != other for one, other in pairs)
