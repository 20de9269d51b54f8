"""A plain ONNX file from elsewhere becomes a graph that gives the answers it gave."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.errors import FileError, GraphError, ModelError
from edgecnn.graph.export import import_checked
from edgecnn.graph.load import import_onnx
from edgecnn.graph.model_io import opset_of

DATA = Path(os.environ.get("EDGECNN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def old_model(*, opset: int = 9, shape: tuple[int | str, ...] = (1, 3, 8, 8)) -> ModelProto:
    """How files looked in 2019: opset 9, IR 3, weights among the inputs, a Clip with attributes."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "fc": rng.normal(size=(2, 4)).astype(np.float32),
        "b": rng.normal(size=2).astype(np.float32),
    }
    nodes: list[NodeProto] = [
        helper.make_node("Conv", ["data", "w"], ["a"], name="first", kernel_shape=[3, 3]),
        helper.make_node("Clip", ["a"], ["c"], name="second", min=0.0, max=6.0),
        helper.make_node("ReduceMean", ["c"], ["d"], name="third", axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["d", "fc", "b"], ["prob"], name="last", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "old",
        [
            helper.make_tensor_value_info("data", TensorProto.FLOAT, shape),
            *(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
                for name, value in weights.items()
            ),
        ],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, (shape[0], 2))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, ir_version=3, opset_imports=[helper.make_opsetid("", opset)])


def images(*shape: int, count: int = 5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(rng.normal(size=(1, *shape)).astype(np.float32) for _ in range(count))


def saved(model: ModelProto, folder: Path, **how: object) -> Path:
    path = folder / "net.onnx"
    onnx.save(model, path, **how)  # type: ignore[arg-type]
    return path


def test_an_old_file_is_brought_to_opset_17_with_the_same_answers(tmp_path: Path) -> None:
    checked = import_checked(saved(old_model(), tmp_path), images=images(3, 8, 8))
    assert (checked.exporter, checked.opset) == ("file", 17)
    assert checked.parity.n == checked.parity.top1_equal == 5
    assert checked.parity.rel < 1e-6
    assert checked.notes == ()
    onnx.checker.check_model(checked.model, full_check=True)
    assert [info.name for info in checked.model.graph.input] == ["data"]
    assert checked.model.ir_version <= 10
    assert [node.name for node in checked.model.graph.node][:2] == ["first", "second"]


def test_an_open_batch_stays_open(tmp_path: Path) -> None:
    source = saved(old_model(shape=("n", 3, 8, 8)), tmp_path)
    checked = import_checked(source, images=images(3, 8, 8))
    assert checked.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    assert checked.parity.n == 7  # one alone, then two batches of three


def test_a_new_enough_file_keeps_its_opset(tmp_path: Path) -> None:
    model = import_onnx(saved(old_model(), tmp_path))
    model.ir_version = 12
    again = import_onnx(saved(model, tmp_path))
    assert (opset_of(again), again.ir_version) == (17, 10)


def test_a_quantized_file_is_not_folded_back_to_floats(tmp_path: Path) -> None:
    scales = [numpy_helper.from_array(np.array(0.1, np.float32), "s")]
    weights = [numpy_helper.from_array(np.ones((2, 192), np.int8), "w8")]
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w8", "s"], ["w"]),
            helper.make_node("Flatten", ["data"], ["rows"]),
            helper.make_node("Gemm", ["rows", "w"], ["prob"], transB=1),
        ],
        "int8",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, (1, 2))],
        [*scales, *weights],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    checked = import_checked(saved(model, tmp_path), images=images(3, 8, 8))
    assert checked.nodes_after == checked.nodes_before == 3
    assert {item.data_type for item in checked.model.graph.initializer} == {
        TensorProto.FLOAT, TensorProto.INT8,
    }  # fmt: skip


# Weights in a file of their own


def test_weights_beside_the_file_are_merged_in(tmp_path: Path) -> None:
    whole = import_onnx(saved(old_model(), tmp_path))
    apart = saved(
        old_model(), tmp_path, save_as_external_data=True, location="net.data", size_threshold=0
    )
    assert (tmp_path / "net.data").stat().st_size > 400
    assert import_onnx(apart).SerializeToString() == whole.SerializeToString()


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    path = saved(
        old_model(), tmp_path, save_as_external_data=True, location="net.data", size_threshold=0
    )
    stolen = onnx.load(path, load_external_data=False)
    for tensor in stolen.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../net.data"
    target = tmp_path / "models" / "net.onnx"
    target.write_bytes(stolen.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder"):
        import_onnx(target)


# What is no file for us


@pytest.mark.parametrize("content", [b"", b"not an ONNX file", bytes(range(256)) * 8])
def test_what_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as refusal:
        import_onnx(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value) + refusal.value.hint


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_half_a_file(share: float, tmp_path: Path) -> None:
    path = saved(old_model(), tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError):
        import_onnx(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        import_onnx(tmp_path / "net.onnx")


def test_a_graph_that_breaks_the_rules(tmp_path: Path) -> None:
    model = old_model()
    model.graph.node[0].op_type = "Convolution"
    with pytest.raises(ModelError, match="No Op registered for Convolution"):
        import_onnx(saved(model, tmp_path))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = saved(old_model(), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"second", b"sec\xffnd"))
    with pytest.raises(ModelError, match="names that are no text"):
        import_onnx(path)


def test_other_inputs_than_one_image_are_named(tmp_path: Path) -> None:
    model = old_model()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, ("n", 4)))
    with pytest.raises(
        GraphError, match=r"inputs: 'data' uint8\(1, 3, 8, 8\), 'mask' bool\('n', 4\)"
    ):
        import_onnx(saved(model, tmp_path))


def test_images_of_another_size_are_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"\(1, 3, 9, 9\)"):
        import_checked(saved(old_model(), tmp_path), images=images(3, 9, 9))


# Real files


@pytest.mark.parametrize(
    ("file", "side", "nodes"),
    [
        ("imagenet/mobilenet_v1_0.25_224.onnx", 224, 80),
        ("cifar10/resnet20.onnx", 32, 80),
        ("detect/nanodet_m_416.onnx", 416, 400),
    ],
)
def test_real_files(file: str, side: int, nodes: int) -> None:
    path = DATA / "weights" / file
    if not path.exists():
        pytest.skip(f"no {path}: set EDGECNN_TEST_DATA")
    checked = import_checked(path, images=images(3, side, side, count=2))
    assert checked.opset == 17
    assert checked.nodes_after <= min(nodes, checked.nodes_before)
    assert checked.notes == ()
