"""What a graph's layers do, counted in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import GraphError
from edgecnn.graph.work import NodeWork, Size, size_of, work_of
from tests.toy import Net, depthwise


def saved(model: ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def grouped(batch: int | str = 1, *, quantized: bool = False) -> ModelProto:
    """3x3 convolution to 6 channels in three groups on 6x6, then a matrix product to 5."""
    weight = np.zeros((6, 1, 3, 3), np.int8 if quantized else np.float32)
    tensors = {
        "w": weight, "b": np.zeros(6, np.float32), "fc": np.zeros((6 * 36, 5), np.float32),
        "shape": np.array([-1, 6 * 36]),
    }  # fmt: skip
    nodes = []
    if quantized:
        tensors |= {"scale": np.ones(6, np.float32), "zero": np.zeros(6, np.int8)}
        nodes.append(helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wf"], axis=0))
    nodes += [
        helper.make_node("Conv", ["x", "wf" if quantized else "w", "b"], ["y"], group=3,
                         pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["y", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "fc"], ["out"]),
    ]  # fmt: skip
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 6, 6])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 5])
    graph = helper.make_graph(
        nodes, "net", [image], [out],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


MACS = 6 * 36 * 9 + 5 * 6 * 36


def test_each_layer_is_counted_once_and_activations_not(tmp_path: Path) -> None:
    net = Net(side=8)
    maps = net.relu(net.conv("image", 4, strides=[2, 2]))
    file = saved(net.model(net.head(maps)), tmp_path)
    conv, pool, linear = work_of(file)
    assert conv == NodeWork("dense", 3 * 9 * 4 * 16, 3 * 64 + 4 * 3 * 9 + 4 * 16)
    assert pool == NodeWork("other", 0, 64 + 4)
    assert linear == NodeWork("linear", 40, 4 + 40 + 10)


def test_convolutions_are_told_apart(tmp_path: Path) -> None:
    kinds = [work.kind for work in work_of(saved(depthwise(), tmp_path))]
    assert kinds[:4] == ["dense", "pointwise", "depthwise", "pointwise"]


def test_quantizing_changes_no_work(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    from tests.toy import images

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left = iter([{"image": image} for image in images(4)()])

        def get_next(self) -> object:
            return next(self.left, None)

    file = saved(depthwise(), tmp_path)
    quantize_static(str(file), str(tmp_path / "int8.onnx"), Reader(), per_channel=True)
    assert work_of(tmp_path / "int8.onnx") == work_of(file)


def test_open_sizes_are_refused_and_an_open_batch_is_one_image(tmp_path: Path) -> None:
    net = Net()
    net.shape = ("n", 3, 16, 16)
    model = net.model(net.head(net.relu(net.conv("image", 8))))
    first = work_of(saved(model, tmp_path))[0]
    assert first.macs == 3 * 9 * 8 * 256
    net = Net()
    net.shape = (1, 3, "h", "w")
    model = net.model(net.head(net.relu(net.conv("image", 8))))
    with pytest.raises(GraphError, match="is not known"):
        work_of(saved(model, tmp_path))
    assert size_of(tmp_path / "net.onnx") == Size(8 * 27 + 8 + 80 + 10, None)


@pytest.mark.parametrize("batch", [1, 4, "N"])
def test_a_file_is_as_large_as_it_is_for_one_image(batch: int | str, tmp_path: Path) -> None:
    assert size_of(saved(grouped(batch), tmp_path)).macs == MACS


def test_a_run_of_several_images_does_the_work_of_all(tmp_path: Path) -> None:
    one = work_of(saved(grouped(), tmp_path))
    four = work_of(saved(grouped(4), tmp_path))
    assert [work.macs for work in one] == [6 * 36 * 9, 5 * 6 * 36]
    assert [work.macs for work in four] == [4 * work.macs for work in one]
    weights = (6 * 9, 5 * 6 * 36)
    assert [work.values for work in four] == [
        4 * (work.values - held) + held for work, held in zip(one, weights, strict=True)
    ]


def test_integers_count_like_floats_and_scales_are_no_parameters(tmp_path: Path) -> None:
    plain = size_of(saved(grouped(), tmp_path))
    assert plain == size_of(saved(grouped(quantized=True), tmp_path))
    assert plain.parameters == 6 * 9 + 6 + 6 * 36 * 5


def test_a_transposed_convolution_works_where_its_input_is(tmp_path: Path) -> None:
    maps = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    graph = helper.make_graph(
        [maps],
        "up",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 12, 12])],
        [numpy_helper.from_array(np.zeros((3, 8, 2, 2), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    macs = 3 * 8 * 4 * 36
    assert size_of(saved(model, tmp_path)) == Size(3 * 8 * 4, macs)
    assert work_of(tmp_path / "net.onnx") == (
        NodeWork("dense", macs, 3 * 36 + 8 * 144 + 3 * 8 * 4),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "unet"])
def test_a_network_of_the_zoo_counts_as_it_says(name: str, tmp_path: Path) -> None:
    from edgecnn.pipeline.export import ExportOptions, export
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.describe import describe

    export(name, output=tmp_path / "net.onnx", options=ExportOptions(weights="random", images=4))
    assert size_of(tmp_path / "net.onnx").macs == describe(find(name)).macs
