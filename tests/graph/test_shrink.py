"""INT8 for the download, floats for the arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import GraphError
from edgecnn.graph.model_io import copied
from edgecnn.graph.session import Session
from edgecnn.graph.shrink import shrink_model
from edgecnn.onnxfile import model_sha256, read_header
from edgecnn.runtime.compiled import compile_engine, open_engine
from tests import toy


def wide(channels: int = 64) -> ModelProto:
    """A network whose second convolution has 36,864 weights."""
    net = toy.Net()
    maps = net.relu(net.conv(net.relu(net.conv("image", channels)), channels))
    return net.model(net.head(maps))


def weights(model: ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def test_large_weights_become_int8_and_the_answers_stay() -> None:
    model = wide()
    source = copied(model)
    shrunk = shrink_model(model, toy.images(8))
    assert model == source, "what was given is not changed"
    assert shrunk.layers == 2, "of the classifier the scales would take more than is saved"
    assert len(shrunk.model.SerializeToString()) < 0.3 * len(source.SerializeToString())
    assert shrunk.parity.n == shrunk.parity.top1_equal == 8
    assert shrunk.parity.sqnr_db > 35
    onnx.checker.check_model(shrunk.model, full_check=True)


def test_engines_compute_floats_once_and_not_in_each_run(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    onnx.save(shrink_model(wide(), toy.images(2)).model, file)
    header = read_header(file)
    assert header.quantized
    assert header.weights_only
    assert not header.computes_integers
    graph = compile_engine(file, engine="onnxruntime", sha256=model_sha256(file)).graph
    kinds = {node.op_type for node in onnx.load(graph).graph.node}
    assert "Conv" in kinds
    assert "DequantizeLinear" not in kinds
    image = next(toy.images(1)())
    (expected,) = Session(file).run(image)
    engine = open_engine(file, engine="onnxruntime", sha256=model_sha256(file), threads=1)
    (answer,) = engine.run({"image": image}).values()
    engine.close()
    np.testing.assert_allclose(answer, np.asarray(expected, np.float32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "shape", "axis"),
    [
        ("Conv", (64, 3, 3, 3), 0),
        ("ConvTranspose", (3, 64, 3, 3), 1),
        ("Gemm", (48, 64), 1),
        ("MatMul", (48, 64), 1),
    ],
)
def test_scales_are_those_of_output_channels(kind: str, shape: tuple[int, ...], axis: int) -> None:
    random = np.random.default_rng(0)
    spread = np.float32(10.0) ** np.linspace(-3, 3, shape[axis], dtype=np.float32)
    along = tuple(-1 if index == axis else 1 for index in range(len(shape)))
    weight = random.normal(size=shape).astype(np.float32) * spread.reshape(along)
    image = [1, 3, 4, 4] if len(shape) == 4 else [1, 48]
    graph = helper.make_graph(
        [helper.make_node(kind, ["image", "w"], ["out"], name="layer")],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    made = shrink_model(model, lambda: iter([np.ones(image, np.float32)])).model
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    restored = tensors["w_int8"] * tensors["w_scale"].reshape(along)
    off = np.abs(restored - weight) / spread.reshape(along)
    assert off.max() < 0.2, "the smallest channel is as exact as the largest"


def test_a_weight_that_is_read_otherwise_too_stays() -> None:
    model = wide()
    name = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    model.graph.node.append(helper.make_node("Identity", [name], ["copy"]))
    model.graph.output.append(helper.make_tensor_value_info("copy", TensorProto.FLOAT, None))
    made = shrink_model(model, toy.images(2))
    assert weights(made.model)[name] == TensorProto.FLOAT
    assert made.layers == 1


def test_where_nothing_is_worth_it_it_says_so() -> None:
    with pytest.raises(GraphError, match="no layer has float weights that are worth it"):
        shrink_model(wide(channels=4), toy.images(1))
