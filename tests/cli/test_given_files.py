"""Files from elsewhere, and files that were here before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgecnn.onnxfile import read_contract
from tests.cli.conftest import Edgecnn
from tests.profiling.toys import write_color_net, write_pictures

SAID = ("--mean", "0.5", "--std", "0.5")


def write_net(path: Path, *, seed: int = 0, side: int | str = 16) -> Path:
    """Mean colour times a random matrix: ten classes."""
    weights = np.random.default_rng(seed).standard_normal((3, 10)).astype(np.float32)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, side, side])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def test_weights_in_a_file_of_their_own_belong_to_the_model(
    edgecnn: Edgecnn, tmp_path: Path, cat: Path
) -> None:
    """A cached engine must not outlive the weights it was built from."""
    answers = []
    for seed in (1, 2):
        model = onnx.load(write_net(tmp_path / "net.onnx", seed=seed))
        (tmp_path / "w.bin").unlink(missing_ok=True)
        onnx.save(
            model, tmp_path / "net.onnx", save_as_external_data=True, location="w.bin",
            size_threshold=0,
        )  # fmt: skip
        said = edgecnn("classify", "net.onnx", cat, *SAID, "--json")
        assert said.code == 0, said.err
        answers.append([label["score"] for label in said.document["results"][0]["labels"]])
    assert answers[0] != answers[1]


def test_a_file_of_any_height_and_width_takes_the_size_that_is_said(
    edgecnn: Edgecnn, tmp_path: Path, cat: Path
) -> None:
    write_net(tmp_path / "any.onnx", side="S")
    assert "has no fixed height and width" in edgecnn("classify", "any.onnx", cat, *SAID).err
    assert edgecnn("classify", "any.onnx", cat, *SAID, "--size", "24").code == 0


def test_mean_and_std_are_said_together_and_in_their_own_units(
    edgecnn: Edgecnn, tmp_path: Path, cat: Path
) -> None:
    write_net(tmp_path / "net.onnx")
    edgecnn("export", "net.onnx", "--mean", "127.5", "--std", "127.5", "-o", "ours.onnx")
    own = edgecnn("classify", "ours.onnx", cat, "--json").document
    same = edgecnn("classify", "ours.onnx", cat, *SAID, "--json").document
    assert [x["index"] for x in own["results"][0]["labels"]] == [
        x["index"] for x in same["results"][0]["labels"]
    ]
    assert edgecnn("classify", "ours.onnx", cat, "--mean", "127.5").code == 2


def test_exporting_again_keeps_what_is_known(edgecnn: Edgecnn, tmp_path: Path, lenet: Path) -> None:
    """Random weights stay random, however often a file is rewritten."""
    said = edgecnn("export", lenet, "-o", "again.onnx")
    assert said.code == 0, said.err
    again = read_contract(tmp_path / "again.onnx")
    assert again.random_weights
    assert again.preprocess == read_contract(lenet).preprocess


def test_nothing_overwrites_what_it_reads(edgecnn: Edgecnn, tmp_path: Path, lenet: Path) -> None:
    net = tmp_path / "net.onnx"
    net.write_bytes(lenet.read_bytes())
    assert edgecnn("profile", net, "-o", net).code == 2
    (tmp_path / "report.html").write_text("mine")
    assert "already there" in edgecnn("profile", net, "-o", "report.html").err
    same = edgecnn("quantize", net, "--calibration", "natural:16", "-o", net, "--force")
    assert "would overwrite its own source" in same.err
    assert net.read_bytes() == lenet.read_bytes()


def test_what_a_graph_has_already_cannot_be_asked_for(edgecnn: Edgecnn, tmp_path: Path) -> None:
    write_net(tmp_path / "net.onnx")
    said = edgecnn("export", "net.onnx", *SAID, "--batch", "4")
    assert "--batch and --opset do not go with an ONNX file" in said.err


def test_names_from_strangers_do_not_steer_the_terminal(
    edgecnn: Edgecnn, tmp_path: Path, cat: Path
) -> None:
    write_net(tmp_path / "net.onnx")
    (tmp_path / "names.txt").write_text("\n".join(f"\x1b]0;own\x07{i}" for i in range(10)))
    said = edgecnn("classify", "net.onnx", cat, *SAID, "--labels", "names.txt")
    assert said.code == 0
    assert "\x1b" not in said.out


def test_ranges_that_are_given_must_hold_the_method(
    edgecnn: Edgecnn, lenet: Path, pictures: Path
) -> None:
    asked = ("quantize", lenet, "--calibration", pictures, "--effort", "fast")
    assert edgecnn(*asked, "--method", "mse", "-o", "a.onnx").code == 0
    again = (*asked, "--ranges", "a.ranges.json", "--target", "tensorrt", "-o", "b.onnx")
    assert "hold minmax, mse, and none by 'entropy'" in edgecnn(*again, "--method", "entropy").err
    assert edgecnn(*again, "--method", "mse").code == 0


def test_a_mistyped_target_is_told_before_the_images_are_looked_at(
    edgecnn: Edgecnn, lenet: Path
) -> None:
    said = edgecnn("quantize", lenet, "--calibration", "natural:16", "--target", "tensort")
    assert said.code == 2
    assert "did you mean tensorrt?" in said.err
    assert said.out == ""


def test_a_file_that_is_there_is_not_written_over(
    edgecnn: Edgecnn, tmp_path: Path, lenet: Path
) -> None:
    for name in ("int8.onnx", "int8.ranges.json"):
        (tmp_path / name).write_text("mine")
        said = edgecnn("quantize", lenet, "--calibration", "natural:16", "-o", "int8.onnx")
        assert f"{name} is already there" in said.err
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()


def test_there_is_a_name_for_each_class(edgecnn: Edgecnn, tmp_path: Path, cat: Path) -> None:
    write_net(tmp_path / "net.onnx")
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    said = edgecnn("classify", "net.onnx", cat, *SAID, "--labels", "names.txt")
    assert said.code == 1
    assert "names.txt: 3 names for 10 classes" in said.err


def test_a_batch_that_the_images_do_not_fill_is_named(edgecnn: Edgecnn, pictures: Path) -> None:
    edgecnn("export", "lenet5", "--weights", "random", "--batch", "4", "-o", "four.onnx")
    fast = ("quantize", "four.onnx", "--calibration", pictures, "--effort", "fast")
    said = edgecnn(*fast, "--images", "16")
    assert "four.onnx: takes 4 images a run, and 16 images are too few" in said.err
    assert "give 20 images" in said.err
    assert edgecnn(*fast).code == 0


def test_what_is_wrong_inside_a_graph_is_told_with_the_name_of_its_file(
    edgecnn: Edgecnn, tmp_path: Path
) -> None:
    model = onnx.load(write_net(tmp_path / "net.onnx"))
    bad = np.full((3, 10), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(bad, "w"))
    onnx.save(model, tmp_path / "net.onnx")
    said = edgecnn("quantize", "net.onnx", "--calibration", "natural:16", *SAID)
    assert "net.onnx: weights 'w'" in said.err


def test_a_background_output_is_counted_away(edgecnn: Edgecnn, tmp_path: Path) -> None:
    labels = list(range(8))
    write_pictures(tmp_path / "pictures", labels, shown=labels)
    write_color_net(tmp_path / "background.onnx", first_output=1)
    shifted, plain = (
        edgecnn("evaluate", "background.onnx", "--data", "pictures", "--json", *offset)
        for offset in (("--class-offset", "1"), ())
    )
    assert shifted.document["results"][0]["top1"]["value"] == 100
    assert plain.document["results"][0]["top1"]["value"] == 0


def test_1001_outputs_may_begin_with_background(edgecnn: Edgecnn, tmp_path: Path) -> None:
    """Read wrongly, the file would answer nothing right, and nobody would know why."""
    write_pictures(tmp_path / "pictures", list(range(8)))
    write_color_net(tmp_path / "net.onnx", first_output=993)
    said = edgecnn("evaluate", "net.onnx", "--data", "pictures")
    assert said.code == 1
    assert "net: has 1001 outputs, and pictures shows nothing of class 1000" in said.err
    assert "--class-offset 1" in said.err
    for offset, right in ((993, 100), (0, 0)):
        told = edgecnn(
            *("evaluate", "net.onnx", "--data", "pictures", "--class-offset", offset, "--json")
        )
        assert told.document["results"][0]["top1"]["value"] == right
    (tmp_path / "pictures" / "0").rename(tmp_path / "pictures" / "1000")
    assert edgecnn("evaluate", "net.onnx", "--data", "pictures").code == 0, "they count it"


def test_quantizing_counts_the_background_away_too(
    edgecnn: Edgecnn, tmp_path: Path, pictures: Path
) -> None:
    write_pictures(tmp_path / "labelled", list(range(8)))
    write_color_net(tmp_path / "net.onnx", first_output=993)
    quantize = ("quantize", "net.onnx", "--calibration", pictures, "--effort", "fast")
    labelled = ("--data", "labelled", "--json")
    said = edgecnn(*quantize, *labelled)
    assert "has 1001 outputs" in said.err
    assert not (tmp_path / "net.int8.onnx").exists(), "it is said before the work"
    for budget in ((), ("--max-drop", "100", "--force")):
        said = edgecnn(*quantize, *labelled, "--class-offset", "993", *budget)
        assert said.code == 0, said.err
        assert said.document["accuracy"]["top1"]["value"] > 50


def test_of_several_outputs_the_one_that_is_judged_is_named(
    edgecnn: Edgecnn, tmp_path: Path, pictures: Path
) -> None:
    model = onnx.load(write_net(tmp_path / "one.onnx"))
    model.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, ["N", 3, 1, 1]))
    onnx.save(model, tmp_path / "two.onnx")
    write_pictures(tmp_path / "labelled", [0, 1, 2])
    words = "two.onnx: has 2 outputs, and is judged by the first, 'y' (Nx10)"
    said = edgecnn("evaluate", "two.onnx", "--data", "labelled", *SAID)
    assert said.code == 0, said.err
    assert said.err.count(words) == 1
    assert "outputs" not in edgecnn("evaluate", "one.onnx", "--data", "labelled", *SAID).err
    said = edgecnn(*("quantize", "two.onnx", "--calibration", pictures, "--effort", "fast", *SAID))
    assert said.code == 0, said.err
    assert words in said.err


def test_a_map_of_classes_is_no_class(edgecnn: Edgecnn, tmp_path: Path, cat: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 16, 16])
    weights = np.random.default_rng(0).standard_normal((2, 3, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "map.onnx")
    assert edgecnn("export", "map.onnx", *SAID, "-o", "ours.onnx").code == 0
    assert read_contract(tmp_path / "ours.onnx").task == "segmentation"
    shares = edgecnn("classify", "ours.onnx", cat, "--json").document["results"][0]["shares"]
    assert {item["name"] for item in shares} == {"class 0", "class 1"}
    assert sum(item["share"] for item in shares) == 1
    (tmp_path / "data" / "0").mkdir(parents=True)
    (tmp_path / "data" / "0" / "cat.png").write_bytes(cat.read_bytes())
    assert "has no top-1" in edgecnn("evaluate", "ours.onnx", "--data", "data").err
