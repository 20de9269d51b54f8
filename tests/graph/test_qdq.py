"""The written graph: right arithmetic, and a shape that ONNX Runtime turns into integer kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from edgecnn.graph.fold import fold
from edgecnn.graph.integers import activation_qparams, quantize_bias, quantize_weight
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import observe
from edgecnn.graph.plan import make_plan
from edgecnn.graph.qdq import write_qdq
from edgecnn.graph.targets import find_target
from edgecnn.graph.thresholds import learn
from edgecnn.graph.weights import best_scales, full_scales, weight_scales
from tests import toy
from tests.graph.running import Images, answers, optimized_ops, sqnr_db


def quantized(
    model: ModelProto,
    *,
    keep_float: tuple[str, ...] = (),
    target: str = "onnxruntime-x86",
    images: Images | None = None,
) -> ModelProto:
    """Min-max ranges, plain rounding."""
    chosen, folded = find_target(target), fold(read_model(model))
    plan = make_plan(folded, chosen, keep_float=keep_float)
    seen = observe(folded, plan.watched, (images or toy.images(16))())
    return write_qdq(
        folded,
        plan,
        chosen,
        ranges=learn(seen, lambda _: "minmax"),
        weight_scales=weight_scales(folded, plan, chosen),
    )


FINITE = st.floats(-1e4, 1e4)


@given(FINITE, FINITE, st.floats(0, 1))
def test_rounding_costs_half_a_step_inside_the_range(low: float, high: float, where: float) -> None:
    low, high = min(low, high, 0), max(low, high, 0)
    qparams = activation_qparams(low, high)
    value = low + where * (high - low)
    integer = np.clip(np.rint(value / qparams.scale) + qparams.zero_point, 0, 255)
    back = (integer - qparams.zero_point) * float(qparams.scale)
    # Where the zero point was rounded, an end may lie half a step outside.
    assert abs(back - value) <= 1.01 * float(qparams.scale)
    assert 0 <= qparams.zero_point <= 255
    if qparams.low <= value <= qparams.high:
        assert abs(back - value) <= 0.501 * float(qparams.scale)


@given(FINITE, FINITE)
def test_zero_is_exact(low: float, high: float) -> None:
    qparams = activation_qparams(min(low, high), max(low, high))
    assert qparams.low <= 0 <= qparams.high
    assert qparams.scale > 0


@given(st.integers(0, 1000), st.sampled_from([127, 63]))
def test_weights_are_rounded_to_the_nearest_and_stay_symmetric(seed: int, largest: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((4, 3, 3, 3)).astype(np.float32)
    scales = full_scales(weight, axis=0, largest=largest)
    integers = quantize_weight(weight, scales, 0, largest)
    assert np.abs(integers.astype(int)).max() == largest
    assert np.abs(integers * scales[:, None, None, None] - weight).max() <= 0.501 * scales.max()


def test_the_best_scale_is_never_worse_than_the_full_one() -> None:
    weight = np.random.default_rng(0).standard_t(3, (16, 500)).astype(np.float32)

    def errors(scales: toy.Float) -> toy.Float:
        integers = quantize_weight(weight, scales, 0, 15)
        return np.asarray(np.square(integers * scales[:, None] - weight).sum(axis=1))

    best, full = (make(weight, axis=0, largest=15) for make in (best_scales, full_scales))
    assert np.all(errors(best) <= errors(full))
    assert errors(best).sum() < 0.9 * errors(full).sum()


def test_weights_on_a_grid_stay_on_it() -> None:
    random = np.random.default_rng(0)
    integers = random.integers(-127, 128, (8, 40))
    integers[:, 0] = 127
    weight = (integers * random.uniform(0.01, 0.1, (8, 1))).astype(np.float32)
    scales = best_scales(weight, axis=0, largest=127)
    np.testing.assert_array_equal(quantize_weight(weight, scales, 0, 127), integers)


def test_a_bias_never_overflows() -> None:
    huge = np.array([1e30, -1e30], np.float32)
    assert np.abs(quantize_bias(huge, np.ones(2, np.float32))).max() == 2**30


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_the_file_is_valid_and_close_to_float(name: str) -> None:
    model = toy.NETS[name]()
    int8 = quantized(model)
    onnx.checker.check_model(int8)
    assert int8.ir_version <= 10
    assert int8.opset_import[0].version == 17
    assert [output.name for output in int8.graph.output] == ["logits"]
    assert sqnr_db(answers(model), answers(int8)) > 25


FUSED = {
    "plain": {"QLinearConv": 3, "NhwcMaxPool": 1, "QLinearGlobalAveragePool": 1, "QGemm": 1},
    "residual": {"QLinearConv": 5, "QLinearAdd": 2, "QLinearGlobalAveragePool": 1, "QGemm": 1},
    "depthwise": {"QLinearConv": 6, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1, "QGemm": 1},
    "concat": {
        "QLinearConv": 5, "QLinearConcat": 1, "NhwcMaxPool": 1, "QLinearGlobalAveragePool": 1,
        "QGemm": 1,
    },
    "mean_head": {"QLinearConv": 2, "QLinearGlobalAveragePool": 1, "QGemm": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FUSED))
def test_onnx_runtime_fuses_everything(name: str, tmp_path: Path) -> None:
    ops = optimized_ops(quantized(toy.NETS[name]()), tmp_path)
    assert ops.pop("QuantizeLinear") == 1
    for moves in ("Transpose", "Flatten"):
        ops.pop(moves, None)
    assert ops == FUSED[name]  # no Conv, no Relu or Clip, no DequantizeLinear


def test_seven_bit_weights_for_processors_without_vnni() -> None:
    for target, largest in (("onnxruntime-x86", 127), ("onnxruntime-x86-avx2", 63)):
        int8 = quantized(toy.plain(), target=target)
        weights = [
            numpy_helper.to_array(tensor)
            for tensor in int8.graph.initializer
            if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
        ]
        assert max(np.abs(weight.astype(int)).max() for weight in weights) == largest


def with_wide_channel() -> ModelProto:
    """A network that one weight scale for a whole tensor would ruin."""
    net = toy.Net()
    maps = net.relu(net.conv("image", 16))
    wide = net.conv(maps, 16)
    net.weights[net.nodes[-1].input[1]][0] *= 200
    narrow = net.conv(net.relu(wide), 16)
    net.weights[net.nodes[-1].input[1]][:, 0] /= 200
    return net.model(net.head(narrow))


def test_a_layer_kept_in_float_really_is() -> None:
    """ONNX Runtime rounds float weights between Q and DQ with one scale a tensor: we hide them."""
    model = with_wide_channel()
    int8 = quantized(model, keep_float=("conv_2",))
    assert sqnr_db(answers(int8, plain=True), answers(int8)) > 35
    exposed = onnx.ModelProto()
    exposed.CopyFrom(int8)
    for tensor in exposed.graph.initializer:
        if tensor.name.endswith(("for_conv_2_scale", "for_conv_2_zero_point")):
            value = numpy_helper.to_array(tensor).ravel()[0]
            tensor.CopyFrom(numpy_helper.from_array(np.array(value), tensor.name))
    assert sqnr_db(answers(exposed, plain=True), answers(exposed)) < 25


def test_a_layer_kept_in_float_behind_a_pool_really_is() -> None:
    """ONNX Runtime moves the DequantizeLinear past what only moves values, up to the layer."""
    net = toy.Net()
    maps = net.relu(net.conv("image", 16))
    pooled = net.node("MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2])
    net._channels[pooled] = 16
    wide = net.relu(net.conv(pooled, 16))
    kept = net.nodes[-2]
    net.weights[kept.input[1]][0] *= 200
    int8 = quantized(net.model(net.head(net.conv(wide, 16))), keep_float=(kept.name,))
    assert sqnr_db(answers(int8, plain=True), answers(int8)) > 35


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_any_layer_can_be_kept_in_float(name: str) -> None:
    model = toy.NETS[name]()
    layers = [n.name for n in read_model(model).graph.node if n.op_type in ("Conv", "Gemm")]
    for kept in [*((layer,) for layer in layers), tuple(layers[1:3])]:
        int8 = quantized(model, keep_float=kept)
        assert sqnr_db(answers(model), answers(int8)) > 25
        assert sqnr_db(answers(int8, plain=True), answers(int8)) > 30
