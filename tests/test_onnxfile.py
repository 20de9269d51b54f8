"""An ONNX file's head is read without the onnx package, and nothing hostile gets past it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.errors import ContractError, FileError, ModelError
from edgecnn.onnxfile import read_contract, read_header, write_contract


def model(*, dims: tuple[int, ...] = (2, 3), extra_input: bool = False) -> onnx.ModelProto:
    """x -> x * w, in the oldest style: the weight may be listed among the inputs."""
    weight = numpy_helper.from_array(np.ones(dims, dtype=np.float32), "w")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, dims))
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "toy",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [weight],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"author": "somebody"})
    return made


def contract() -> Contract:
    spec = TensorSpec("x", "float32", ("N", 3, 8, 8))
    return Contract(inputs=(spec,), outputs=(spec,), preprocess=Preprocess(size=(8, 8)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "toy.onnx"
    onnx.save(model(), target)
    return target


def test_the_head_is_what_onnx_wrote(path: Path) -> None:
    header = read_header(path)
    assert (header.ir_version, header.opset, header.quantized) == (8, 17, False)
    assert header.inputs == (TensorSpec("x", "float32", ("N", 3, 8, 8)),)
    assert header.metadata == {"author": "somebody"}


def test_weights_listed_as_inputs_are_not_inputs(tmp_path: Path) -> None:
    onnx.save(model(extra_input=True), tmp_path / "old.onnx")
    assert [spec.name for spec in read_header(tmp_path / "old.onnx").inputs] == ["x"]


def test_a_contract_goes_in_and_everything_else_stays(path: Path) -> None:
    write_contract(path, path, contract())
    assert read_contract(path) == contract()
    written = onnx.load(path)
    onnx.checker.check_model(written)
    assert written.graph == model().graph
    assert [entry.key for entry in written.metadata_props] == ["author", "edgecnn"]


def test_the_last_contract_replaces_the_one_before(path: Path) -> None:
    write_contract(path, path, contract())
    later = dataclasses.replace(contract(), labels=("a", "b"))
    write_contract(path, path, later)
    assert read_contract(path) == later
    assert len(onnx.load(path).metadata_props) == 2


def test_a_file_without_a_contract_says_how_to_give_one(path: Path) -> None:
    with pytest.raises(ContractError, match="without an edgecnn contract") as caught:
        read_contract(path)
    assert "--size" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"hello world", bytes(100)])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.onnx: not an ONNX file"):
        read_header(tmp_path / "x.onnx")


def test_a_truncated_file_is_refused_wherever_it_was_cut(path: Path) -> None:
    whole = path.read_bytes()
    graph_end = whole.index(b"somebody") - 20
    for cut in range(1, graph_end, 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelError):
            read_header(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        read_header(tmp_path / "missing.onnx")
    with pytest.raises(FileError, match="cannot be read"):
        read_header(tmp_path)


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret.bin", "a/../../secret.bin", ""])
def test_weights_outside_the_files_folder_are_refused(path: Path, location: str) -> None:
    hostile = model()
    tensor = hostile.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(hostile.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder"):
        read_header(path)


def test_external_weights_hidden_in_a_constant_are_refused_too(path: Path) -> None:
    hostile = model()
    tensor = TensorProto(name="c", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    hostile.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    path.write_bytes(hostile.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder"):
        read_header(path)


def test_external_weights_that_are_missing_are_named(path: Path) -> None:
    lost = model()
    tensor = lost.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="toy.bin")
    path.write_bytes(lost.SerializeToString())
    with pytest.raises(ModelError, match=r"'toy\.bin' is missing"):
        read_header(path)


def with_external(entries: dict[str, str], *, dtype: int = TensorProto.FLOAT) -> bytes:
    """The toy with its 24 bytes of weights in a file of their own."""
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location, tensor.data_type = TensorProto.EXTERNAL, dtype
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(
    "entries",
    [{}, {"offset": "0"}, {"offset": "16"}, {"length": "24"}, {"offset": "16", "length": "24"}],
)
def test_external_weights_that_are_there_are_accepted(path: Path, entries: dict[str, str]) -> None:
    path.with_name("toy.bin").write_bytes(bytes(40))
    path.write_bytes(with_external({"location": "toy.bin", **entries}))
    assert read_header(path).external == ("toy.bin",)
    assert onnx.load(path).graph.initializer[0].raw_data


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        ({"offset": "17"}, r"tensor 'w' lies in bytes 17 to 41 of 'toy\.bin', which has 40"),
        ({"offset": "17", "length": "24"}, "bytes 17 to 41"),
        ({"offset": "99999999999999999"}, "bytes 99999999999999999 to"),
        ({"length": "23"}, r"tensor 'w' claims 24 bytes, 'toy\.bin' is to give 23"),
        ({"length": "4096"}, "claims 24 bytes"),
        ({"offset": "-4"}, r"tensor 'w' has the offset '-4' in 'toy\.bin', which is no number"),
        ({"length": "-24"}, "the length '-24'"),
        ({"offset": "0x10"}, "the offset '0x10'"),
        ({"length": ""}, "the length ''"),
        ({"offset": "9" * 5000}, "the offset '99999999999999999999'"),
        ({"offset": "\u0664"}, "the offset"),
    ],
)
def test_external_weights_that_lie_where_nothing_is_are_refused(
    path: Path, entries: dict[str, str], cause: str
) -> None:
    path.with_name("toy.bin").write_bytes(bytes(40))
    path.write_bytes(with_external({"location": "toy.bin", **entries}))
    with pytest.raises(ModelError, match=cause):
        read_header(path)


def test_of_a_type_of_unknown_size_the_end_is_checked_all_the_same(path: Path) -> None:
    path.with_name("toy.bin").write_bytes(bytes(40))
    entries = {"location": "toy.bin", "offset": "38", "length": "3"}
    path.write_bytes(with_external(entries, dtype=TensorProto.INT4))
    with pytest.raises(ModelError, match="bytes 38 to 41"):
        read_header(path)


def test_external_weights_that_are_nowhere_are_refused(path: Path) -> None:
    path.write_bytes(with_external({}))
    with pytest.raises(ModelError, match="outside its own folder"):
        read_header(path)


@pytest.mark.parametrize("dims", [[1 << 40, 1 << 20], [-1, 3]])
def test_a_tensor_that_cannot_be_is_refused_before_memory_is_taken(
    path: Path, dims: list[int]
) -> None:
    hostile = model()
    hostile.graph.initializer[0].dims[:] = dims
    path.write_bytes(hostile.SerializeToString())
    with pytest.raises(ModelError, match="claims"):
        read_header(path)


def test_a_tensor_that_holds_less_than_it_claims_is_refused(path: Path) -> None:
    hostile = model()
    hostile.graph.initializer[0].dims[:] = [2, 300]
    path.write_bytes(hostile.SerializeToString())
    with pytest.raises(ModelError, match="claims 2400 bytes, holds 24"):
        read_header(path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_mutation_ends_in_our_error_or_in_a_header(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(model().SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    target = tmp_path_factory.getbasetemp() / "mutated.onnx"
    target.write_bytes(content)
    try:
        header = read_header(target)
    except ModelError:
        return
    assert header.opset
