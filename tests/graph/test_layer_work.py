"""What an engine's layers have to do, worked out from the nodes that they stand for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.graph.layer_work import LayerWork, work_of_layers
from tests.graph.test_qdq import quantized

SIDE, CHANNELS = 8, 4
PLANE = CHANNELS * SIDE * SIDE
MACS = 9 * CHANNELS * PLANE  # of one of the convolutions
WEIGHTS = 9 * CHANNELS * CHANNELS


def two_convolutions(batch: int | str = 1) -> ModelProto:
    """Convolution, ReLU, convolution, and the input added to what comes out."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "w"], ["c"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "image"], ["sum"], "add"),
    ]
    shape = [batch, CHANNELS, SIDE, SIDE]
    weights = np.full((CHANNELS, CHANNELS, 3, 3), 0.1, np.float32)
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def images() -> Iterator[NDArray[np.float32]]:
    random = np.random.default_rng(3)
    return (random.normal(size=(1, CHANNELS, SIDE, SIDE)).astype(np.float32) for _ in range(4))


def nodes_of(model: ModelProto, *layers: tuple[str, ...]) -> list[list[NodeProto]]:
    named = {node.name: node for node in model.graph.node}
    return [[named[name] for name in names] for names in layers]


def test_a_layer_reads_its_input_and_weights_and_writes_its_output() -> None:
    model = two_convolutions()
    first, relu, add = work_of_layers(model, nodes_of(model, ("first",), ("relu",), ("add",)))
    assert first == LayerWork(MACS, 2 * PLANE + WEIGHTS)
    assert relu == LayerWork(0, 2 * PLANE)
    assert add == LayerWork(0, 3 * PLANE)


def test_what_passes_between_the_nodes_of_a_layer_is_not_moved() -> None:
    model = two_convolutions()
    (fused,) = work_of_layers(model, nodes_of(model, ("second", "add")))
    assert fused == LayerWork(MACS, 3 * PLANE + WEIGHTS), "b and the image in, the sum out"
    (whole,) = work_of_layers(model, nodes_of(model, ("first", "second", "add")))
    assert whole == LayerWork(2 * MACS, 2 * PLANE + WEIGHTS), "the ReLU between them stays inside"


def test_quantizing_and_back_moves_nothing_of_its_own() -> None:
    model = quantized(two_convolutions(), images=images)
    (layer,) = work_of_layers(model, nodes_of(model, ("first",)))
    assert layer.macs == MACS
    assert layer.values == 2 * PLANE + WEIGHTS + CHANNELS, "the bias is new"


def test_a_run_of_several_images_does_the_work_of_all_but_reads_weights_once() -> None:
    model = two_convolutions(batch="n")
    (layer,) = work_of_layers(model, nodes_of(model, ("first",)), batch=3)
    assert layer == LayerWork(3 * MACS, 3 * 2 * PLANE + WEIGHTS)


def test_a_layer_of_unknown_nodes_has_no_work_that_is_known() -> None:
    assert work_of_layers(two_convolutions(), [[]]) == (LayerWork(None, None),)


def test_a_transposed_convolution_multiplies_at_each_place_of_its_input() -> None:
    weights = numpy_helper.from_array(np.zeros((2, 5, 3, 3), np.float32), "w")
    node = helper.make_node("ConvTranspose", ["image", "w"], ["out"], strides=[2, 2])
    graph = helper.make_graph(
        [node],
        "up",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 5, 9, 9])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    (layer,) = work_of_layers(model, [[model.graph.node[0]]])
    assert layer.macs == 4 * 4 * 2 * 5 * 9
