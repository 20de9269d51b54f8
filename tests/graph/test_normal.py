"""Models as strangers write them come into one form, or are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import FileError, GraphError, ModelError
from edgecnn.graph.model_io import NEWEST_IR, OLDEST_OPSET, opset_of, shapes_of
from edgecnn.graph.normal import read_model
from tests import toy
from tests.graph.running import answers


def test_reading_leaves_the_caller_and_the_answers_alone() -> None:
    model = toy.plain()
    before = model.SerializeToString(deterministic=True)
    np.testing.assert_allclose(answers(read_model(model)), answers(model), atol=1e-5)
    assert model.SerializeToString(deterministic=True) == before


def test_a_file_gives_the_same_as_its_model(tmp_path: Path) -> None:
    onnx.save(toy.residual(), tmp_path / "net.onnx")
    assert read_model(tmp_path / "net.onnx") == read_model(toy.residual())


@pytest.mark.parametrize("opset", range(11, 22))
def test_every_opset_from_11_to_21_is_read(opset: int) -> None:
    model = old_style(opset) if opset < 13 else toy.mean_head(opset=opset)
    read = read_model(model)
    assert opset_of(read) >= max(opset, OLDEST_OPSET)
    assert opset_of(read) == opset or opset < OLDEST_OPSET
    np.testing.assert_allclose(answers(read), answers(model), atol=1e-5)


def old_style(opset: int) -> ModelProto:
    """A Squeeze with its axes as an attribute, which opset 13 made an input."""
    net = toy.Net()
    pooled = net.node("GlobalAveragePool", net.relu(net.conv("image", 8)))
    return net.model(net.gemm(net.node("Squeeze", pooled, axes=[2, 3]), 8), opset=opset)


def test_the_ir_version_is_one_that_old_readers_know() -> None:
    assert read_model(toy.plain()).ir_version == 8
    model = toy.plain()
    model.ir_version = 12
    assert read_model(model).ir_version == NEWEST_IR


def test_constant_nodes_and_weights_among_the_inputs_become_initializers() -> None:
    model = toy.plain()
    expected = answers(model)
    first, second = model.graph.initializer[0], model.graph.initializer[1]
    model.graph.node.insert(0, helper.make_node("Constant", [], [first.name], value=first))
    model.graph.input.append(
        helper.make_tensor_value_info(second.name, TensorProto.FLOAT, list(second.dims))
    )
    del model.graph.initializer[0]
    read = read_model(model)
    assert [item.name for item in read.graph.input] == ["image"]
    assert "Constant" not in {node.op_type for node in read.graph.node}
    np.testing.assert_allclose(answers(read), expected, atol=1e-5)


def test_layers_that_share_weights_get_their_own() -> None:
    net = toy.Net(channels=8)
    first = net.conv("image", 8)
    second = net.node("Conv", net.relu(first), *net.nodes[0].input[1:], pads=[1] * 4)
    model = net.model(net.head(net.relu(second)))
    layers = [node for node in read_model(model).graph.node if node.op_type == "Conv"]
    assert set(layers[0].input[1:]).isdisjoint(layers[1].input[1:])
    tensor = toy.images(1, channels=8)
    np.testing.assert_allclose(
        answers(read_model(model), tensor), answers(model, tensor), atol=1e-5
    )


def test_nodes_without_names_get_their_own() -> None:
    model = toy.plain()
    for node in model.graph.node:
        node.name = ""
    names = [node.name for node in read_model(model).graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_a_dynamic_batch_stays_dynamic() -> None:
    net = toy.Net()
    net.shape = ("N", 3, 16, 16)
    read = read_model(net.model(net.head(net.relu(net.conv("image", 8)))))
    assert shapes_of(read)["image"] == (None, 3, 16, 16)


def test_a_quantized_model_is_refused() -> None:
    net = toy.Net()
    scale, zero = net.constant(0.1), net.constant(np.array(0, np.uint8))
    integers = net.node("QuantizeLinear", "image", scale, zero)
    maps = net.node("DequantizeLinear", integers, scale, zero)
    net._channels[maps] = 3
    with pytest.raises(GraphError, match="quantized already"):
        read_model(net.model(net.head(net.conv(maps, 8))))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(bad: float) -> None:
    model = toy.plain()
    weight = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[0, 0, 0, 0] = bad
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "stem.weight"))
    model.graph.node[0].input[1] = "stem.weight"
    with pytest.raises(GraphError, match=r"stem\.weight"):
        read_model(model)


def test_other_inputs_and_control_flow_are_refused() -> None:
    model = toy.plain()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    with pytest.raises(GraphError, match="2 inputs"):
        read_model(model)
    model = toy.plain()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    with pytest.raises(GraphError, match="input 'image' is uint8"):
        read_model(model)
    model = toy.plain()
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", [], [], body=body))
    with pytest.raises(GraphError, match="Loop"):
        read_model(model)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        read_model(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelError):
        read_model(tmp_path / "text.onnx")
