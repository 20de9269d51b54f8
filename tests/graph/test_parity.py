"""The gate: equal answers pass, every real defect is stopped with its numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import ParityError
from edgecnn.graph.parity import (
    TOLERANCE,
    Parity,
    check_parity,
    compare,
    compare_outputs,
    in_batches,
)

LOGITS = arrays(np.float32, (6, 4), elements=st.floats(-100, 100, width=32))


@given(LOGITS)
def test_an_answer_equals_itself(logits: np.ndarray) -> None:
    parity = compare([(logits,)], [(logits.copy(),)])
    assert parity == Parity(n=6, max_abs_diff=0.0, rel=0.0, top1_equal=6, sqnr_db=150.0)
    check_parity(parity, what="itself")


@given(LOGITS, LOGITS)
def test_the_numbers_are_what_their_names_say(left: np.ndarray, right: np.ndarray) -> None:
    parity = compare([(left,)], [(right,)])
    difference = np.abs(left.astype(np.float64) - right)
    assert parity.max_abs_diff == pytest.approx(difference.max())
    if np.abs(left).max() > 0:
        assert parity.rel == pytest.approx(difference.max() / np.abs(left).max())
    assert parity.top1_equal == np.sum(left.argmax(1) == right.argmax(1))


@given(LOGITS, LOGITS, st.integers(1, 5))
def test_batches_do_not_change_the_numbers(left: np.ndarray, right: np.ndarray, cut: int) -> None:
    whole = compare([(left,)], [(right,)])
    parts = compare([(left[:cut],), (left[cut:],)], [(right[:cut],), (right[cut:],)])
    assert (parts.n, parts.max_abs_diff, parts.rel, parts.top1_equal) == (
        whole.n, whole.max_abs_diff, whole.rel, whole.top1_equal,
    )  # fmt: skip
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)


def test_a_thousandth_of_noise_is_sixty_decibel() -> None:
    signal = np.ones((1, 1000), np.float32)
    assert compare([(signal,)], [(signal * 1.001,)]).sqnr_db == pytest.approx(60, abs=0.01)


def test_a_small_output_is_not_hidden_behind_a_large_one() -> None:
    boxes, scores = np.full((1, 4), 400.0), np.full((1, 4), 0.5)
    parity = compare([(boxes, scores)], [(boxes, scores + 0.01)])
    assert parity.rel == pytest.approx(0.02)
    with pytest.raises(ParityError):
        check_parity(parity, what="detector")


def test_the_limit_is_a_share_of_the_largest_output() -> None:
    for largest in (1e-3, 1.0, 1e3):
        reference = np.array([[largest, 0.0]])
        check_parity(
            compare([(reference,)], [(reference + 0.9 * TOLERANCE * largest,)]), what="net"
        )
        wrong = compare([(reference,)], [(reference + 1.1 * TOLERANCE * largest,)])
        with pytest.raises(ParityError):
            check_parity(wrong, what="net")


def test_a_miss_names_the_numbers() -> None:
    parity = compare([(np.array([[1.0, 0.5]]),)], [(np.array([[0.25, 0.5]]),)])
    with pytest.raises(ParityError) as miss:
        check_parity(parity, what="resnet18")
    assert str(miss.value) == (
        "resnet18: outputs differ by 7.5e-01, 7.5e-01 of the largest (1e-04 allowed), "
        "top-1 equal on 0 of 1"
    )


def test_nothing_compared_is_nothing_proven() -> None:
    with pytest.raises(ParityError, match="0 of 0"):
        check_parity(compare([], []), what="net")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_a_miss_on_either_side(bad: float) -> None:
    good, broken = np.zeros((1, 3), np.float32), np.array([[0, bad, 0]], np.float32)
    with pytest.raises(ParityError, match="the model's outputs hold NaN or infinity"):
        compare([(good,)], [(broken,)])
    with pytest.raises(ParityError, match="the reference's outputs hold NaN or infinity"):
        compare([(broken,)], [(good,)])


def test_another_shape_is_a_miss() -> None:
    with pytest.raises(ParityError, match=r"shape \(1, 3\), the reference's has \(2, 3\)"):
        compare([(np.zeros((2, 3)),)], [(np.zeros((1, 3)),)])


def test_images_come_in_the_batches_that_a_graph_takes() -> None:
    pixels = [np.full((1, 1), value, np.float32) for value in range(5)]

    def values(batch: int | None) -> list[list[float]]:
        return [part.ravel().tolist() for part in in_batches(pixels, batch)]

    assert values(1) == [[0], [1], [2], [3], [4]]
    assert values(2) == [[0, 1], [2, 3], [4, 0]]
    assert values(7) == [[0, 1, 2, 3, 4, 0, 1]]
    assert values(None) == [[0], [1, 2, 3], [4, 1, 2]]  # open: alone, then more than one


def network() -> ModelProto:
    """Conv, Relu, global mean, Gemm on images (1, 3, 8, 8)."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(size=(8, 3, 3, 3)), "conv.bias": rng.normal(size=8),
        "fc.weight": rng.normal(size=(5, 8)), "fc.bias": rng.normal(size=5),
    }  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "conv.weight", "conv.bias"], ["a"], pads=[1] * 4),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("GlobalAveragePool", ["b"], ["c"]),
            helper.make_node("Flatten", ["c"], ["d"]),
            helper.make_node("Gemm", ["d", "fc.weight", "fc.bias"], ["logits"], transB=1),
        ],
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 5))],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in weights.items()
        ],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(1, 3, 8, 8)).astype(np.float32) for _ in range(count)]


def answer(batch: np.ndarray) -> tuple[np.ndarray]:
    """The network once more, in NumPy and float64."""
    weights = {item.name: numpy_helper.to_array(item) for item in network().graph.initializer}
    padded = np.pad(batch[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    maps = np.einsum("chwyx,ocyx->ohw", patches, weights["conv.weight"])
    pooled = np.maximum(maps + weights["conv.bias"][:, None, None], 0).mean((1, 2))
    return ((weights["fc.weight"] @ pooled + weights["fc.bias"])[None],)


def wrong_bias(model: ModelProto) -> None:
    bias = model.graph.initializer[1]
    values = numpy_helper.to_array(bias).copy()
    values[3] += 0.05
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))


def lost_sign(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    values = numpy_helper.to_array(weight).copy()
    values[0, 0, 0, 0] *= -1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def lost_layer(model: ModelProto) -> None:
    model.graph.node[2].input[0] = "a"
    del model.graph.node[1]


def lost_padding(model: ModelProto) -> None:
    del model.graph.node[0].attribute[:]


def test_onnx_runtime_and_numpy_agree_within_rounding() -> None:
    parity = compare_outputs(map(answer, images(8)), network(), images(8))
    assert parity.n == parity.top1_equal == 8
    assert parity.rel < 1e-6
    assert parity.sqnr_db > 110
    check_parity(parity, what="net")


@pytest.mark.parametrize("defect", [wrong_bias, lost_sign, lost_layer, lost_padding])
def test_a_defect_of_an_exporter_does_not_pass(defect: Callable[[ModelProto], None]) -> None:
    broken = network()
    defect(broken)
    parity = compare_outputs(map(answer, images(8)), broken, images(8))
    with pytest.raises(ParityError, match="net: outputs differ by"):
        check_parity(parity, what="net")
