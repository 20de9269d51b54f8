"""Parameters and multiply-adds of a file, float or INT8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.graph.operations import count_operations


def net(batch: int | str = 1, *, quantized: bool = False) -> ModelProto:
    """3x3 convolution to 8 channels in two groups on 6x6, then a matrix product to 5."""
    weight = np.zeros((8, 2, 3, 3), np.int8 if quantized else np.float32)
    tensors = {
        "w": weight, "b": np.zeros(8, np.float32), "fc": np.zeros((8 * 36, 5), np.float32),
        "shape": np.array([-1, 8 * 36]),
    }  # fmt: skip
    nodes = []
    if quantized:
        tensors |= {"scale": np.ones(8, np.float32), "zero": np.zeros(8, np.int8)}
        nodes.append(helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wf"], axis=0))
    nodes += [
        helper.make_node("Conv", ["x", "wf" if quantized else "w", "b"], ["y"], group=2,
                         pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["y", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "fc"], ["out"]),
    ]  # fmt: skip
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4, 6, 6])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 5])
    graph = helper.make_graph(
        nodes, "net", [image], [out],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


MACS = 8 * 36 * (2 * 9) + 5 * 8 * 36


@pytest.mark.parametrize("batch", [1, "N"])
def test_multiply_adds_are_those_of_one_image(batch: int | str) -> None:
    assert count_operations(net(batch)).macs == MACS


def test_integers_count_like_floats_and_scales_are_no_parameters() -> None:
    plain, integer = count_operations(net()), count_operations(net(quantized=True))
    assert plain == integer
    assert plain.parameters == 8 * 18 + 8 + 8 * 36 * 5


@pytest.mark.slow
def test_a_network_of_the_zoo_counts_as_it_says(tmp_path: Path) -> None:
    from edgecnn.graph.operations import operations
    from edgecnn.pipeline.export import ExportOptions, export
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.describe import describe

    target = tmp_path / "lenet5.onnx"
    export("lenet5", output=target, options=ExportOptions(weights="random", images=4))
    assert operations(target).macs == describe(find("lenet5")).macs
