"""Folding: fewer nodes, the same answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from tests import toy
from tests.graph.running import answers


def folded(model: ModelProto) -> ModelProto:
    return fold(read_model(model))


def ops(model: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("build", toy.NETS.values(), ids=list(toy.NETS))
def test_the_answers_stay(build: Callable[[], ModelProto]) -> None:
    np.testing.assert_allclose(answers(folded(build())), answers(build()), atol=1e-4)


def test_batch_norms_go_into_convolutions_and_the_mean_is_a_pool() -> None:
    assert ops(folded(toy.mean_head())) == {
        "Conv": 2, "Relu": 2, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1,
    }  # fmt: skip


def test_a_norm_with_no_convolution_before_it_becomes_one() -> None:
    net = toy.Net()
    maps = net.norm(net.relu(net.conv("image", 8)))
    model = net.model(net.head(net.relu(net.conv(maps, 8))))
    assert ops(folded(model))["Conv"] == 3
    assert ops(folded(model))["BatchNormalization"] == 0
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-4)


def test_a_norm_that_divides_by_no_number_is_refused() -> None:
    net = toy.Net()
    maps = net.norm(net.conv("image", 8))
    net.weights[net.nodes[-1].input[4]][2] = -1
    with pytest.raises(GraphError, match="variance"):
        folded(net.model(net.head(maps)))


def test_a_convolution_with_two_readers_keeps_its_output() -> None:
    net = toy.Net()
    maps = net.conv("image", 8)
    model = net.model(net.head(net.node("Add", net.norm(maps), net.relu(maps))))
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-4)


def behind_a_join(second: str, function: str) -> ModelProto:
    """Two convolutions, the second of which may have a pool or another reader, then a function."""
    net = toy.Net(seed=4)
    maps = net.relu(net.conv("image", 8))
    parts = [net.conv(maps, 8), net.conv(maps, 8, 1)]
    if second == "pooled":
        parts[1] = net.node("AveragePool", parts[1], kernel_shape=[3, 3], pads=[1] * 4)
    both = net.node("Concat", *parts, axis=1)
    net._channels[both] = 16
    bounded = getattr(net, function)(both)
    if second == "read twice":
        bounded = net.node("Concat", bounded, parts[1], axis=1)
        net._channels[bounded] = 24
    return net.model(net.head(net.conv(bounded, 8)))


@pytest.mark.parametrize("function", ["relu", "relu6"])
def test_a_function_behind_a_join_goes_to_the_layers_before_it(function: str) -> None:
    """There they absorb it, and what is joined can have one scale."""
    model = behind_a_join("", function)
    made = folded(model)
    makers = {name: node.op_type for node in made.graph.node for name in node.output}
    (join,) = (node for node in made.graph.node if node.op_type == "Concat")
    assert {makers[part] for part in join.input} == {"Relu" if function == "relu" else "Clip"}
    assert len(made.graph.node) == len(model.graph.node) + 1
    np.testing.assert_allclose(answers(made), answers(model), atol=1e-4)


@pytest.mark.parametrize("second", ["pooled", "read twice"])
def test_it_stays_where_a_part_is_no_layer_or_has_another_reader(second: str) -> None:
    model = behind_a_join(second, "relu")
    made = folded(model)
    joins = [node for node in made.graph.node if node.op_type == "Concat"]
    makers = {name: node.op_type for node in made.graph.node for name in node.output}
    assert makers[joins[0].input[0]] == "Conv"
    np.testing.assert_allclose(answers(made), answers(model), atol=1e-4)


def test_a_bound_that_is_computed_stays_behind_the_join() -> None:
    net = toy.Net(seed=5)
    maps = net.relu(net.conv("image", 8))
    both = net.node("Concat", net.conv(maps, 8), net.conv(maps, 8), axis=1)
    net._channels[both] = 16
    bound = net.node("ReduceMax", maps, keepdims=0)
    model = net.model(net.head(net.conv(net.node("Clip", both, "", bound), 8)))
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-4)


def test_padding_goes_into_convolutions() -> None:
    net = toy.Net()
    pads = net.constant(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
    padded = net.node("Pad", "image", pads)
    model = net.model(net.head(net.conv(padded, 8, strides=[2, 2], pads=[0] * 4)))
    assert ops(folded(model))["Pad"] == 0
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-5)


def test_padding_with_ones_or_for_a_pool_stays() -> None:
    net = toy.Net()
    pads = net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    maps = net.conv(net.node("Pad", "image", pads, net.constant(1.0)), 8)
    maps = net.node("MaxPool", net.node("Pad", maps, pads), kernel_shape=[2, 2])
    model = net.model(net.head(maps))
    assert ops(folded(model))["Pad"] == 2
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-5)


def test_scales_and_offsets_after_a_layer_go_into_it() -> None:
    net = toy.Net()
    by_channel = net.constant(np.linspace(0.5, 2, 8, dtype=np.float32).reshape(8, 1, 1))
    maps = net.node("Mul", net.conv("image", 8, bias=False), by_channel)
    maps = net.node("Add", maps, net.constant(0.25))
    rows = net.head(net.relu(maps))
    model = net.model(net.node("Add", rows, net.constant(np.ones(10, np.float32))))
    assert ops(folded(model)) == {
        "Conv": 1, "Relu": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1,
    }  # fmt: skip
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-5)


def test_a_constant_for_each_pixel_is_no_offset_of_a_channel() -> None:
    net = toy.Net()
    by_pixel = net.constant(np.arange(16, dtype=np.float32).reshape(1, 1, 1, 16))
    model = net.model(net.head(net.node("Add", net.conv("image", 16), by_pixel)))
    assert ops(folded(model))["Add"] == 1
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-4)


def test_a_matmul_becomes_a_gemm_and_a_gemm_a_plain_one() -> None:
    net = toy.Net()
    rows = net.node("Flatten", net.node("GlobalAveragePool", net.relu(net.conv("image", 8))))
    rows = net.node("MatMul", rows, net.constant(net.random(8, 12, fan_in=8)))
    rows = net.node("Add", rows, net.constant(net.random(12, fan_in=8)))
    names = (net.constant(net.random(12, 10, fan_in=12)), net.constant(net.random(1, 10, fan_in=8)))
    model = net.model(net.node("Gemm", rows, *names, alpha=0.5, beta=2.0))
    assert ops(folded(model))["Gemm"] == 2
    assert ops(folded(model))["Add"] == 0
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-5)


def test_copies_go_and_an_output_keeps_its_name() -> None:
    net = toy.Net()
    rows = net.head(net.node("Identity", net.conv("image", 8)))
    model = net.model(net.node("Identity", rows))
    assert ops(folded(model))["Identity"] == 0
    assert [output.name for output in folded(model).graph.output] == ["logits"]
    np.testing.assert_allclose(answers(folded(model)), answers(model), atol=1e-5)
