"""Bias correction: channels get the means of float back, certain ones fully, doubtful ones less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import ModelProto

from edgecnn.graph.bias import BiasCorrection, certain
from edgecnn.graph.fold import fold
from edgecnn.graph.mend import mend
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import observe
from edgecnn.graph.plan import Plan, make_plan
from edgecnn.graph.prefix import Prefix, find_cuts
from edgecnn.graph.qdq import quantized_name, write_qdq
from edgecnn.graph.session import Session
from edgecnn.graph.targets import find_target
from edgecnn.graph.thresholds import learn
from edgecnn.graph.weights import weight_scales
from edgecnn.graph.wiring import put_constant
from tests import toy

IMAGES = toy.images(32)
AVX2 = find_target("onnxruntime-x86-avx2")


def written(
    model: ModelProto, *, keep_float: tuple[str, ...] = ()
) -> tuple[ModelProto, Plan, ModelProto]:
    """The folded model, its plan, and its quantized version with 7-bit weights."""
    folded = fold(read_model(model))
    plan = make_plan(folded, AVX2, keep_float=keep_float)
    ranges = learn(observe(folded, plan.watched, IMAGES()), lambda _: "minmax")
    scales = weight_scales(folded, plan, AVX2)
    return folded, plan, write_qdq(folded, plan, AVX2, ranges=ranges, weight_scales=scales)


def mean_shift(folded: ModelProto, int8: ModelProto, plan: Plan) -> float:
    """How far channel means are from float, over all quantized layers, in steps of each layer."""
    layers = [layer for layer in plan.layers if layer.output in plan.tensors]
    real = Session(folded, [layer.output for layer in layers])
    rounded = Session(int8, [quantized_name(layer.output) for layer in layers])
    scales = {t.name: t for t in int8.graph.initializer}
    shifts = []
    for index, layer in enumerate(layers):
        scale, zero = (
            np.frombuffer(scales[f"{layer.output}_{kind}"].raw_data, dtype)[0]
            for kind, dtype in (("scale", np.float32), ("zero_point", np.uint8))
        )
        differences = [
            real.run(image)[index].mean(axis=(0, 2, 3)) / scale
            - (rounded.run(image)[index].mean(axis=(0, 2, 3)) - zero)
            for image in IMAGES()
        ]
        shifts.append(np.abs(np.mean(differences, axis=0)).mean())
    return float(np.mean(shifts))


@pytest.mark.parametrize("name", ["plain", "depthwise", "mean_head"])
def test_channels_get_their_means_back(name: str) -> None:
    folded, plan, int8 = written(toy.NETS[name]())
    corrected = mend(int8, plan, [BiasCorrection(folded, plan, IMAGES())], IMAGES())
    assert mean_shift(folded, corrected, plan) < 0.35 * mean_shift(folded, int8, plan)


def test_nothing_but_biases_changes() -> None:
    folded, plan, int8 = written(toy.plain())
    before = int8.SerializeToString(deterministic=True)
    corrected = mend(int8, plan, [BiasCorrection(folded, plan, IMAGES())], IMAGES())
    assert int8.SerializeToString(deterministic=True) == before
    changed = [
        old.name
        for old, new in zip(int8.graph.initializer, corrected.graph.initializer, strict=True)
        if old != new
    ]
    assert changed
    assert all(name.endswith("_bias_quantized") for name in changed)
    assert list(corrected.graph.node) == list(int8.graph.node)


DIFFERENCES = arrays(np.float64, (6, 3), elements=st.floats(-10, 10))


@given(DIFFERENCES)
def test_doubt_only_ever_makes_a_correction_smaller(differences: np.ndarray) -> None:
    mean, shrunk = differences.mean(axis=0), certain(differences)
    assert np.all(np.abs(shrunk) <= np.abs(mean) + 1e-12)
    assert np.all(shrunk * mean >= 0)


def test_what_all_images_agree_on_is_corrected_fully_and_noise_not_at_all() -> None:
    noise = np.array([3.0, -3.0, 3.1, -3.1, 2.9, -2.8])
    differences = np.stack([np.full(6, 0.5), noise], axis=1)
    np.testing.assert_allclose(certain(differences), [0.5, 0.0])


def dense() -> ModelProto:
    """Three layers that each see the maps of all before them: a small DenseNet."""
    net = toy.Net(seed=6)
    seen = [net.relu(net.conv("image", 8))]
    for _ in range(3):
        joined = net.node("Concat", *seen, axis=1) if len(seen) > 1 else seen[0]
        net._channels[joined] = 8 * len(seen)
        seen.append(net.relu(net.conv(joined, 8)))
    return net.model(net.head(seen[-1]))


def test_a_cut_holds_all_that_is_read_behind_it() -> None:
    _, _, int8 = written(toy.residual())
    cuts = [cut.tensors for cut in find_cuts(int8)]
    assert cuts[0] == ("image_quantized",)
    assert ("relu_1_quantized",) in cuts
    assert ("relu_1_quantized", "relu_3_quantized") in cuts, "inside a block"
    assert cuts.index(("relu_6_quantized",)) > cuts.index(("relu_1_quantized", "relu_3_quantized"))


def test_what_lies_before_a_cut_is_not_run_again() -> None:
    """Otherwise a dense block would take the square of its number of layers."""
    _, plan, int8 = written(dense())
    prefix = Prefix(int8, toy.images(3)())
    *_, before, last = [quantized_name(layer.output) for layer in plan.layers[:-1]]
    list(prefix.run(before))
    expected = list(prefix.run(last))
    for layer in plan.layers[:2]:
        put_constant(int8, f"{quantized_name(layer.weight)}_scale", np.ones(8, np.float32))
    np.testing.assert_array_equal(list(prefix.run(last)), expected)


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (toy.residual, ()),
        (toy.residual, ("conv_0",)),
        (toy.residual, ("conv_2", "conv_4")),
        (dense, ()),
    ],
)
def test_a_prefix_gives_what_the_whole_model_gives(
    make: Callable[[], ModelProto], kept: tuple[str, ...]
) -> None:
    _, plan, int8 = written(make(), keep_float=kept)
    prefix = Prefix(int8, toy.images(3)())
    whole = Session(int8, [quantized_name(layer.output) for layer in plan.layers[:-1]])
    for index, layer in enumerate(plan.layers[:-1]):
        expected = [whole.run(image)[index] for image in toy.images(3)()]
        np.testing.assert_array_equal(list(prefix.run(quantized_name(layer.output))), expected)


def test_a_layer_that_is_always_zero_stays_zero() -> None:
    """An activation that is always zero gives no reason to correct, and no division by zero."""
    net = toy.Net()
    maps = net.conv("image", 8)
    net.weights[net.nodes[-1].input[1]][:] = 0
    net.weights[net.nodes[-1].input[2]][:] = -1
    folded, plan, int8 = written(net.model(net.head(net.relu(maps))))
    corrected = mend(int8, plan, [BiasCorrection(folded, plan, IMAGES())], IMAGES())
    assert mean_shift(folded, corrected, plan) == 0
