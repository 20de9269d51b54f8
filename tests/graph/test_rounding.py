"""Rounding weights together: single weights get worse, what they add up to gets better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from edgecnn.graph.fold import fold
from edgecnn.graph.mend import mend
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import observe
from edgecnn.graph.plan import make_plan
from edgecnn.graph.qdq import write_qdq
from edgecnn.graph.rounding import MAX_INPUTS, Rounding, round_together
from edgecnn.graph.targets import find_target
from edgecnn.graph.thresholds import learn
from edgecnn.graph.weights import weight_scales
from tests import toy
from tests.graph.running import answers, sqnr_db

X86 = find_target("onnxruntime-x86")


def problem(seed: int, groups: int, outputs: int, inputs: int) -> tuple[np.ndarray, ...]:
    """Weights, moments of inputs that move together, coarse scales."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((groups, inputs, inputs))
    samples = mixing @ random.standard_normal((groups, inputs, 400))
    weights = random.standard_normal((groups, outputs, inputs))
    return weights, samples @ samples.transpose(0, 2, 1), np.abs(weights).max(axis=2) / 15


@given(st.integers(0, 1000), st.sampled_from([(1, 8, 70), (60, 1, 9), (30, 2, 12)]))
def test_the_error_of_sums_shrinks(seed: int, shape: tuple[int, int, int]) -> None:
    weights, moments, scales = problem(seed, *shape)

    def error(integers: np.ndarray) -> float:
        lost = integers * scales[:, :, None] - weights
        return float(np.einsum("goi,gij,goj->", lost, moments, lost))

    nearest = np.clip(np.rint(weights / scales[:, :, None]), -15, 15)
    together = round_together(weights, moments, scales, 15)
    assert error(together) < 0.9 * error(nearest)
    assert np.abs(together).max() <= 15
    np.testing.assert_array_equal(together, np.rint(together))


def test_weights_on_the_grid_stay_where_they_are() -> None:
    weights, moments, scales = problem(0, 2, 4, 20)
    integers = np.clip(np.rint(weights / scales[:, :, None]), -15, 15)
    on_grid = integers * scales[:, :, None]
    np.testing.assert_array_equal(round_together(on_grid, moments, scales, 15), integers)


def test_inputs_that_are_always_zero_are_rounded_to_the_nearest() -> None:
    weights, _, scales = problem(0, 1, 4, 20)
    nearest = np.clip(np.rint(weights / scales[:, :, None]), -15, 15)
    zeros = np.zeros((1, 20, 20))
    np.testing.assert_array_equal(round_together(weights, zeros, scales, 15), nearest)


def padded_and_strided() -> ModelProto:
    net = toy.Net()
    maps = net.relu(net.conv("image", 16, 5, strides=[2, 2], pads=[2, 1, 1, 2]))
    maps = net.relu(net.conv(maps, 16, 3, dilations=[2, 2], pads=[2] * 4))
    maps = net.relu(net.conv(maps, 32, 3, group=4))
    return net.model(net.head(net.relu(net.depthwise(maps))))


NETS = {**toy.NETS, "padded_and_strided": padded_and_strided}


@pytest.mark.parametrize("name", sorted(NETS))
def test_networks_come_closer_to_float(name: str) -> None:
    model, images = NETS[name](), toy.images(32)
    folded = fold(read_model(model))
    plan = make_plan(folded, X86)
    ranges = learn(observe(folded, plan.watched, images()), lambda _: "minmax")
    scales = weight_scales(folded, plan, X86)
    # Coarse weights, so that their error stands out from that of the activations.
    scales = {name: scale * 8 for name, scale in scales.items()}
    int8 = write_qdq(folded, plan, X86, ranges=ranges, weight_scales=scales)
    rounded = mend(int8, plan, [Rounding(folded, plan, X86)], images())
    fresh = toy.images(32, seed=9)
    before, after = (sqnr_db(answers(model, fresh), answers(q, fresh)) for q in (int8, rounded))
    assert after > before + 1.5


def test_layers_too_large_for_it_are_left_alone() -> None:
    net = toy.Net(channels=MAX_INPUTS // 9 + 1, side=4)
    images = toy.images(2, channels=MAX_INPUTS // 9 + 1, side=4)
    folded = fold(read_model(net.model(net.head(net.relu(net.conv("image", 4))))))
    plan = make_plan(folded, X86)
    ranges = learn(observe(folded, plan.watched, images()), lambda _: "minmax")
    int8 = write_qdq(
        folded, plan, X86, ranges=ranges, weight_scales=weight_scales(folded, plan, X86)
    )
    rounded = mend(int8, plan, [Rounding(folded, plan, X86)], images())
    name = f"{plan.layers[0].weight}_quantized"
    old, new = (
        next(numpy_helper.to_array(t) for t in m.graph.initializer if t.name == name)
        for m in (int8, rounded)
    )
    np.testing.assert_array_equal(old, new)
