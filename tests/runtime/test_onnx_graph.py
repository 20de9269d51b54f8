"""ONNX graphs are read without the onnx package as it reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgecnn.errors import ModelError
from edgecnn.runtime.engines.tflite.onnx_graph import read_graph
from tests import toy


@pytest.mark.parametrize("net", toy.NETS)
@pytest.mark.parametrize("outside", [False, True])
def test_a_graph_is_read_as_the_onnx_package_reads_it(
    net: str, outside: bool, tmp_path: Path
) -> None:
    model, path = toy.NETS[net](), tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=outside, size_threshold=0)
    read = read_graph(path)
    assert len(read.nodes) == len(model.graph.node)
    for node, wanted in zip(read.nodes, model.graph.node, strict=True):
        attributes = {each.name: helper.get_attribute_value(each) for each in wanted.attribute}
        assert (node.op, node.inputs) == (wanted.op_type, tuple(wanted.input))
        assert node.attributes.keys() == attributes.keys()
        for name, value in attributes.items():
            np.testing.assert_array_equal(node.attributes[name], value)
    for tensor in toy.NETS[net]().graph.initializer:
        np.testing.assert_array_equal(read.constants[tensor.name], numpy_helper.to_array(tensor))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8", "int32", "int64"])
def test_numbers_that_do_not_lie_as_bytes_are_read_too(dtype: str, tmp_path: Path) -> None:
    values = np.array([[1, 2, 127]]).astype(dtype) * np.array(-1 if dtype != "uint8" else 1, dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model = toy.plain()
    model.graph.initializer.append(helper.make_tensor("listed", kind, (1, 3), values.ravel()))
    onnx.save(model, tmp_path / "net.onnx")
    np.testing.assert_array_equal(read_graph(tmp_path / "net.onnx").constants["listed"], values)


def test_half_a_file_is_no_model(tmp_path: Path) -> None:
    whole = toy.plain().SerializeToString()
    (tmp_path / "net.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError):
        read_graph(tmp_path / "net.onnx")
