"""`edgecnn evaluate --ensemble --views`: the gain of averaging, and what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.onnxfile import write_contract
from tests.cli.conftest import Edgecnn
from tests.photos import write_photos

PREPARED = ("--mean", "0.5", "--std", "0.5", "--resize", "40")


def colour_net(path: Path, weight: list[list[float]], *, cell: int = 1) -> Path:
    """Three classes by the mean colour of cells of the image, (1, 3, 32, 32) -> (1, 3)."""
    cells = cell, cell
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=cells, strides=cells),
        helper.make_node("GlobalAveragePool", ["cells"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weight"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 3, 32, 32))],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, (1, len(weight[0])))],
        [numpy_helper.from_array(np.array(weight, np.float32), "weight")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 4)


def test_two_files_that_err_on_different_classes_are_better_together(
    edgecnn: Edgecnn, data: Path
) -> None:
    one = colour_net(Path("one.onnx"), [[9, 0, 0], [0, 9, 0], [0, 0, 0]])
    other = colour_net(Path("other.onnx"), [[0, 0, 0], [0, 0, 0], [0, 0, 9]])
    said = edgecnn(
        "evaluate", one, other, "--data", data, "--ensemble", "--views", "ten", *PREPARED, "--json"
    )
    assert said.code == 0, said.err
    rows = said.document["results"]
    assert [row["file"] for row in rows] == [
        "one.onnx",
        "other.onnx",
        "2 files, five crops, mirrored too",
    ]
    assert rows[2]["paired"]["against"] == "one.onnx"
    (cost,) = said.document["costs"]
    assert cost["combined_ms"] > 2 * cost["plain_ms"] > 0  # twenty runs for one


def test_views_of_each_file_stand_beside_it(edgecnn: Edgecnn, data: Path) -> None:
    one = colour_net(Path("one.onnx"), [[9, 0, 0], [0, 9, 0], [0, 0, 9]])
    said = edgecnn("evaluate", one, "--data", data, "--views", "flip", *PREPARED)
    assert said.code == 0, said.err
    assert "one.onnx, mirrored too" in said.out
    assert "they agree on 100.0 %" in said.out  # a mean does not see which side is left
    assert "x the time (medians of the engine alone)" in said.out


def test_heat_of_coarser_maps_is_compared_where_it_lies(edgecnn: Edgecnn, data: Path) -> None:
    diagonal: list[list[float]] = [[9, 0, 0], [0, 9, 0], [0, 0, 9]]
    fine, coarse = (colour_net(Path(f"{cell}.onnx"), diagonal, cell=cell) for cell in (2, 8))
    looked = ("explain", coarse, "--against", fine, "--image", data / "ball" / "0.png", *PREPARED)
    said = edgecnn(*looked, "--json")
    assert said.code == 0, said.err
    (likeness,) = said.document["likeness"]
    assert 0.5 < likeness < 1


def test_what_cannot_be_averaged_is_refused(edgecnn: Edgecnn, data: Path) -> None:
    one = colour_net(Path("one.onnx"), [[9, 0, 0], [0, 9, 0], [0, 0, 9]])
    two = colour_net(Path("two.onnx"), [[9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0]])
    evaluate = ("evaluate", one, "--data", data, *PREPARED)
    assert "one is none" in edgecnn(*evaluate, "--ensemble").err
    assert "their classes differ" in edgecnn(*evaluate, two, "--ensemble").err
    assert "their classes differ" in edgecnn(*evaluate, two).err
    three = colour_net(Path("three.onnx"), [[9, 0, 0], [0, 9, 0], [0, 0, 9]])
    for path, labels in ((one, ("ball", "bar", "stripes")), (three, ("cat", "cow", "dog"))):
        image = TensorSpec("image", "float32", (1, 3, 32, 32))
        logits = TensorSpec("logits", "float32", (1, 3))
        prepared = Preprocess(size=(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
        write_contract(path, path, Contract((image,), (logits,), prepared, labels=labels))
    for together in ((), ("--ensemble",)):
        said = edgecnn("evaluate", one, three, "--data", data, *together)
        assert "'ball' to 'stripes' in one.onnx, 'cat' to 'dog' in three.onnx" in said.err
    Path("names.txt").write_text("ball\nbar\nstripes\n")
    assert edgecnn("evaluate", one, three, "--data", data, "--labels", "names.txt").code == 0
    looked = ("explain", one, "--against", two, "--image", data / "ball" / "0.png", *PREPARED)
    assert "their classes differ" in edgecnn(*looked).err
    assert edgecnn(*evaluate, "--views", "flip", "--against", two).code == 2
    whole = ("evaluate", one, "--data", data, "--mean", "0.5", "--std", "0.5", "--resize", "32")
    assert "sees the whole image" in edgecnn(*whole, "--views", "five").err
