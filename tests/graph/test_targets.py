"""What each engine is promised about the graph that is written for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edgecnn.errors import GraphError
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.targets import TARGETS, find_target
from edgecnn.graph.wiring import Wiring, wiring
from tests import toy
from tests.graph.running import answers, optimized_ops, session, sqnr_db

IMAGES = toy.images(24)


def written(name: str, target: str = "tensorrt", **options: tuple[str, ...]) -> ModelProto:
    made = quantize_model(toy.NETS[name](), IMAGES, target=target, effort="fast", **options)  # type: ignore[arg-type]
    return made.model


def nodes(model: ModelProto, op_type: str) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type == op_type]


def zero_points(model: ModelProto) -> list[NDArray[np.generic]]:
    quantizers = nodes(model, "QuantizeLinear") + nodes(model, "DequantizeLinear")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return [constants[node.input[2]] for node in quantizers]


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_every_target_gives_a_valid_file_near_float(name: str, target: str) -> None:
    int8 = written(name, target)
    onnx.checker.check_model(int8, full_check=True)
    assert int8.opset_import[0].version == 17
    assert sqnr_db(answers(toy.NETS[name]()), answers(int8)) > 25
    assert sqnr_db(answers(int8, plain=True), answers(int8)) > 30  # optimised as it ships


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_tensorrt_takes_symmetric_integers_and_float_biases(name: str) -> None:
    int8 = written(name)
    for zero_point in zero_points(int8):
        assert zero_point.dtype == np.int8
        assert not zero_point.any()
    kinds = {tensor.data_type for tensor in int8.graph.initializer}
    assert TensorProto.INT32 not in kinds
    for layer in nodes(int8, "Conv") + nodes(int8, "Gemm"):
        assert layer.input[2] in {tensor.name for tensor in int8.graph.initializer}
    made = wiring(int8).producers["logits"].op_type
    assert made != "DequantizeLinear"


def test_a_sum_becomes_part_of_the_layer_before_it() -> None:
    """One input is quantized, the other comes straight out of a convolution."""
    for name in ("residual", "depthwise"):
        int8 = written(name)
        makers = wiring(int8).producers
        for add in nodes(int8, "Add"):
            kinds = sorted(makers[source].op_type for source in add.input)
            assert kinds == ["Conv", "DequantizeLinear"]


def scale_of(edges: Wiring, dequantized: str) -> float:
    return float(edges.value(edges.producers[dequantized].input[1]))


def test_what_is_joined_and_pooled_has_one_scale() -> None:
    int8 = written("concat")
    edges = wiring(int8)
    (joined,), (pooled,) = nodes(int8, "Concat"), nodes(int8, "MaxPool")
    scales = {scale_of(edges, name) for name in (*joined.input, *pooled.input)}
    after = edges.only_consumer(pooled.output[0])
    assert after is not None
    assert scales == {float(edges.value(after.input[1]))}


def joined(first: str, second: str, *, after: int = 3) -> ModelProto:
    """Two convolutions with these activation functions, joined and read by a third."""
    net = toy.Net(seed=12)
    maps = net.relu(net.conv("image", 8))
    parts = []
    for name in (first, second):
        part = net.conv(maps, 8, 1)
        net.weights[net.nodes[-1].input[1]] *= 6
        parts.append(getattr(net, name)(part) if name else part)
    both = net.node("Concat", *parts, axis=1)
    net._channels[both] = 16
    return net.model(net.head(net.relu(net.conv(both, 16, after))))


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [("relu", "relu", True), ("", "", True), ("relu", "relu6", False), ("relu", "", False)],
)
def test_what_is_made_to_be_joined_is_rounded_once(
    first: str, second: str, alike: bool, target: str
) -> None:
    """At the scale of the whole, unless that would take the place of another bound."""
    model = joined(first, second)
    int8 = quantize_model(model, IMAGES, target=target, effort="fast").model
    edges = wiring(int8)
    (concat,) = nodes(int8, "Concat")
    scales = {scale_of(edges, name) for name in concat.input}
    assert (len(scales) == 1) == (alike or target == "tensorrt")
    assert sqnr_db(answers(model), answers(int8)) > 25


def reduced(*, deeper: bool) -> ModelProto:
    """Two convolutions and a max-pool of what they read, joined, as where an Inception halves."""
    net = toy.Net(seed=20)
    maps = net.relu(net.conv("image", 8))
    if deeper:
        maps = net.node("Concat", net.relu(net.conv(maps, 4)), net.relu(net.conv(maps, 4)), axis=1)
        net._channels[maps] = 8
    parts = [net.relu(net.conv(maps, 8, strides=[2, 2])) for _ in range(2)]
    pooled = net.node("MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2])
    both = net.node("Concat", *parts, pooled, axis=1)
    net._channels[both] = 24
    return net.model(net.head(net.relu(net.conv(both, 16))))


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("deeper", [False, True])
def test_a_pool_beside_them_keeps_its_scale_where_the_engine_lets_it(
    deeper: bool, target: str
) -> None:
    """TensorRT wants one for all; elsewhere what is made for the Concat alone takes the whole's."""
    model = reduced(deeper=deeper)
    int8 = quantize_model(model, IMAGES, target=target, effort="fast").model
    edges = wiring(int8)
    concat, (pool,) = nodes(int8, "Concat")[-1], nodes(int8, "MaxPool")
    first, second, pooled = (scale_of(edges, name) for name in concat.input)
    after = edges.only_consumer(concat.output[0])
    assert after is not None
    assert first == second == float(edges.value(after.input[1]))
    assert pooled == scale_of(edges, pool.input[0])
    assert (pooled == first) == (target == "tensorrt")
    assert sqnr_db(answers(model), answers(int8)) > 25


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_bound_survives_when_its_neighbour_has_another(target: str) -> None:
    """An unpadded reader lets TensorRT's tensors be shifted, which drops activation functions."""
    model = joined("relu", "relu6", after=1)
    int8 = quantize_model(model, IMAGES, target=target, effort="fast").model
    assert sqnr_db(answers(model), answers(int8)) > 25


def test_what_others_read_too_keeps_a_scale_of_its_own() -> None:
    net = toy.Net(seed=13)
    maps = net.relu(net.conv("image", 8))
    part = net.relu(net.conv(maps, 8))
    both = net.node("Concat", maps, part, axis=1)
    net._channels[both] = 16
    model = net.model(net.head(net.relu(net.conv(both, 8))))
    edges = wiring(quantize_model(model, IMAGES, effort="fast").model)
    (concat,) = (node for node in edges.producers.values() if node.op_type == "Concat")
    assert len({scale_of(edges, name) for name in concat.input}) == 2


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_what_a_function_bounds_after_it_is_joined_is_rounded_once_too(target: str) -> None:
    net = toy.Net(seed=14)
    maps = net.relu(net.conv("image", 8))
    both = net.node("Concat", net.conv(maps, 8, 1), net.conv(maps, 8), axis=1)
    net._channels[both] = 16
    model = net.model(net.head(net.relu(net.conv(net.relu(both), 8))))
    int8 = quantize_model(model, IMAGES, target=target, method="mse", effort="fast").model
    edges = wiring(int8)
    (concat,) = nodes(int8, "Concat")
    assert len({scale_of(edges, name) for name in concat.input}) == 1
    assert sqnr_db(answers(model), answers(int8)) > 25


@pytest.mark.parametrize("part", ["AveragePool", "Relu"])
@pytest.mark.parametrize("target", ["onnxruntime-x86", "tensorrt"])
def test_a_function_that_must_stay_behind_a_join_bounds_the_whole(part: str, target: str) -> None:
    """One part cannot absorb it; that from a ReLU must not be shifted, for the join is float."""
    net = toy.Net(seed=14)
    maps = net.relu(net.conv("image", 8))
    first = net.conv(maps, 8)
    if part == "Relu":
        first = net.relu(first)
    else:
        first = net.node(part, first, kernel_shape=[3, 3], pads=[1] * 4)
    both = net.node("Concat", first, net.conv(maps, 8, 1), axis=1)
    net._channels[both] = 16
    model = net.model(net.head(net.relu(net.conv(net.relu(both), 8))))
    int8 = quantize_model(model, IMAGES, target=target, method="mse", effort="fast").model
    assert sqnr_db(answers(model), answers(int8)) > 20


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_mean_that_is_the_answer_stays_in_float(target: str) -> None:
    """Classes with a map each, as in SqueezeNet: integers would make ties of near answers."""
    net = toy.Net(seed=15)
    maps = net.relu(net.conv(net.relu(net.conv("image", 16)), toy.CLASSES, 1))
    model = net.model(net.node("Flatten", net.node("GlobalAveragePool", maps)))
    int8 = quantize_model(model, IMAGES, target=target, effort="fast").model
    assert sqnr_db(answers(model), answers(int8)) > 28
    assert len(np.unique(answers(int8, toy.images(64)))) > 256


def test_relu6_becomes_a_relu_where_saturation_does_the_rest() -> None:
    int8 = written("depthwise")
    assert not nodes(int8, "Clip")
    assert len(nodes(int8, "Relu")) == 3  # those that padded layers, sums and means read


def test_what_only_unpadded_layers_read_is_shifted() -> None:
    """The ReLU is gone, all 256 integers are in use; padded readers keep theirs."""
    net = toy.Net(seed=9)
    wide = net.relu(net.conv("image", 16))  # shifted: a 1x1 reads it
    narrow = net.relu(net.conv(wide, 16, 1))  # not shifted: a padded 3x3 reads it
    model = net.model(net.head(net.relu(net.conv(narrow, 16))))
    int8 = quantize_model(model, IMAGES, target="tensorrt", effort="fast").model
    assert len(nodes(int8, "Relu")) == 2
    assert sqnr_db(answers(model), answers(int8)) > 25
    probe = ModelProto()
    probe.CopyFrom(int8)
    probe.graph.output.append(
        onnx.helper.make_tensor_value_info(f"{wide}_quantized", TensorProto.INT8, None)
    )
    running = session(probe)
    found = [running.run([f"{wide}_quantized"], {"image": image})[0] for image in IMAGES()]
    values = np.concatenate(found)
    assert values.min() == -128
    assert values.max() > 64


def test_a_float_layer_for_tensorrt_reads_floats() -> None:
    """There is no scale for each channel to hide behind, so nothing may tempt ONNX Runtime."""
    int8 = written("plain", keep_float=("conv_3",))
    maker = wiring(int8).producers[nodes(int8, "Conv")[1].input[0]]
    assert maker.op_type not in ("DequantizeLinear", "QuantizeLinear")
    assert sqnr_db(answers(int8, plain=True), answers(int8)) > 35


def test_of_float_nodes_only_layers_keep_away_from_integers() -> None:
    """Beside an integer reader, for TensorRT: a function reads what it reads, a layer floats."""
    net = toy.Net(seed=11)
    maps = net.conv("image", 8)
    gate, kept = net.node("Sigmoid", maps), net.conv(maps, 8)
    both = net.node("Mul", net.node("Mul", net.conv(maps, 8), gate), kept)
    model = net.model(net.head(both))
    int8 = quantize_model(
        model, IMAGES, target="tensorrt", effort="fast", keep_float=(kept,), method="mse"
    ).model
    makers = wiring(int8).producers
    by_name = {node.name: node for node in int8.graph.node}
    assert makers[by_name[gate].input[0]].op_type == "DequantizeLinear"
    assert makers[by_name[kept].input[0]].op_type == "Conv"
    assert sqnr_db(answers(int8, plain=True), answers(int8)) > 30


@pytest.mark.parametrize("target", ["onnxruntime-arm", "openvino"])
def test_the_others_run_on_integers_from_end_to_end(target: str, tmp_path: Path) -> None:
    ops = optimized_ops(written("plain", target), tmp_path)
    assert ops["Conv"] == ops["Relu"] == 0
    assert ops["QLinearConv"] == 3


def depthwise_with_uneven_channels() -> ModelProto:
    """What one layer gives small the next one makes large again."""
    net = toy.Net(seed=10)
    spread = (2.0 ** -np.linspace(0, 14, 32)).astype(np.float32)
    maps = net.depthwise(net.relu(net.conv("image", 32)))
    net.weights[net.nodes[-1].input[1]] *= spread.reshape(-1, 1, 1, 1)
    net.weights[net.nodes[-1].input[2]] *= 0
    maps = net.conv(maps, 32, 1)
    net.weights[net.nodes[-1].input[1]] /= spread.reshape(1, -1, 1, 1)
    net.weights[net.nodes[-1].input[2]] *= 0
    head = net.head(net.relu(maps))
    net.weights[net.nodes[-1].input[2]] *= 0
    return net.model(head)


def test_one_scale_a_weight_is_written_as_one() -> None:
    made = quantize_model(toy.plain(), IMAGES, per_tensor=True)
    constants = wiring(made.model).constants
    for layer in nodes(made.model, "Conv"):
        weights = wiring(made.model).producers[layer.input[1]]
        assert list(constants[weights.input[1]].dims) == []
    assert sqnr_db(answers(toy.plain()), answers(made.model)) > 25


def test_a_network_that_one_scale_ruins_is_refused() -> None:
    model, images = depthwise_with_uneven_channels(), toy.images(100)
    assert quantize_model(model, images, effort="fast").check.top1_agreement >= 0.9
    with pytest.raises(GraphError, match="one scale for each weight ruins") as raised:
        quantize_model(model, images, per_tensor=True)
    assert "--per-tensor" in raised.value.hint


def test_each_engine_gets_its_integers() -> None:
    signed = {name for name in TARGETS if find_target(name).activations.low == -128}
    assert signed == {"onnxruntime-arm", "tensorrt"}
    assert {"LeakyRelu", "Sigmoid"} <= find_target("onnxruntime-x86").computed
    assert not {"LeakyRelu", "Sigmoid"} & find_target("openvino").computed
