"""Where an INT8 file loses its accuracy, told to people and to machines."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import PIL.Image
import pytest

from edgecnn.cli.explain import explain
from tests import toy
from tests.cli.conftest import Edgecnn
from tests.cli.test_budget import PREPARED, grey_photos, quantize, written
from tests.graph.culprits import coarse_layer, loud_channel
from tests.graph.test_qdq import quantized
from tests.photos import write_photos

HOW = (*PREPARED, "--accuracy", "--against", "net.onnx", "--data", "photos")


def made(edgecnn: Edgecnn, file: Path) -> None:
    photos = grey_photos("photos", 24)
    said = edgecnn(*quantize(edgecnn, file, "--calibration", photos))
    assert said.code == 0, said.err


def test_the_culprit_comes_first_with_its_cause_and_remedy(edgecnn: Edgecnn) -> None:
    model, culprit = coarse_layer()
    made(edgecnn, written(model))
    said = edgecnn("explain", "net.int8.onnx", *HOW, "--top", "3")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("layer")) + 1
    assert lines[first].startswith(culprit)
    assert lines[first + 1] == "  rounding its weights"
    assert "remedy       edgecnn quantize --effort default" in said.out
    assert f"remedy       --keep-float {culprit}: " in said.out
    assert "prices       of one thread of ONNX Runtime, measured here" in said.out
    assert max(map(len, lines)) <= 100


def test_machines_get_every_number(edgecnn: Edgecnn) -> None:
    model, culprit = loud_channel()
    made(edgecnn, written(model))
    document = edgecnn("explain", "net.int8.onnx", *HOW, "--json").document
    row = document["rows"][0]
    assert row["layer"] == culprit
    assert row["output_range"]["channel"] == 5
    assert row["output_range"]["times_median"] > 50
    assert row["keep_float"] == [culprit, "conv_4"]
    assert row["keep_float_ms"] is not None
    assert row["activation_error"] > row["weight_error"]
    assert document["layers"] == 5
    assert sum(item["share"] for item in document["rows"]) == pytest.approx(1, abs=0.01)


def test_a_file_from_elsewhere_is_explained_too(edgecnn: Edgecnn) -> None:
    model, culprit = coarse_layer()
    written(model)
    onnx.save(quantized(model), "theirs.onnx")
    grey_photos("photos", 16)
    document = edgecnn("explain", "theirs.onnx", *HOW, "--json").document
    assert document["rows"][0]["layer"] == culprit


def test_what_cannot_be_explained_says_why(edgecnn: Edgecnn) -> None:
    written(toy.plain())
    grey_photos("photos", 16)
    written(quantized(toy.plain()), "int8.onnx")
    for words, arguments in {
        "not quantized": ("net.onnx", *HOW),
        "it is quantized itself": ("int8.onnx", *HOW, "--against", "int8.onnx"),
        "--data goes with --accuracy": ("int8.onnx", "--data", "photos"),
        "--threads does not go with --accuracy": ("int8.onnx", *HOW, "--threads", "1"),
        "needs --against": ("int8.onnx", "--accuracy"),
        "no such folder": ("int8.onnx", *HOW, "--data", "nowhere"),
        "gone.onnx": ("gone.onnx", *HOW),
    }.items():
        said = edgecnn("explain", *arguments)
        assert said.code != 0
        assert words in said.err, said.err


def test_of_a_table_only_the_images_that_it_lists_are_run(edgecnn: Edgecnn) -> None:
    onnx.save(quantized(toy.plain()), "theirs.onnx")
    written(toy.plain())
    photos = grey_photos("photos", 5)
    (photos / "000.png").write_bytes(b"broken")
    (photos / "two.tsv").write_text("001.png\t0\n004.png\t3\n")
    said = edgecnn("explain", "theirs.onnx", *HOW, "--data", photos / "two.tsv", "--json")
    assert said.document["images"] == 2
    (photos / "two.tsv").write_text("001.png\t0\n005.png\t3\n")
    said = edgecnn("explain", "theirs.onnx", *HOW, "--data", photos / "two.tsv")
    assert "two.tsv: line 2: there is no file 005.png" in said.err


def test_another_float_file_is_noticed(edgecnn: Edgecnn) -> None:
    made(edgecnn, written(toy.plain()))
    other = toy.plain()
    other.doc_string = "another"
    written(other)
    assert "made from another file" in edgecnn("explain", "net.int8.onnx", *HOW).err
    written(toy.concat())
    said = edgecnn("explain", "net.int8.onnx", *HOW)
    assert said.code == 1
    assert "in the float model (1, 12, 16, 16)" in said.err


def test_the_help_names_the_columns() -> None:
    assert explain.help is not None
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "explain", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--against" in done.stdout
    assert "what would help" in done.stdout


def test_a_photo_shows_where_float_and_int8_look(
    edgecnn: Edgecnn, lenet: Path, tmp_path: Path
) -> None:
    folder = write_photos(tmp_path / "photos", 8)
    photo = folder / "ball" / "0.png"
    shutil.copy(lenet, "lenet5.onnx")
    quantize = ("quantize", "lenet5.onnx", "--calibration", folder, "--effort", "fast")
    assert edgecnn(*quantize).code == 0
    explain = ("explain", "lenet5.int8.onnx", "--image", photo, "--against", "lenet5.onnx")
    said = edgecnn(*explain, "--json")
    assert said.code == 0, said.err
    assert [row["file"] for row in said.document["files"]] == ["lenet5.onnx", "lenet5.int8.onnx"]
    (likeness,) = said.document["likeness"]
    assert likeness > 0.8
    with PIL.Image.open("0.attention.png") as picture:
        assert picture.size == (3 * 224 + 4 * 4, 224 + 2 * 4)
    again = edgecnn(*explain)
    assert again.code == 1
    assert "--force overwrites" in again.err
    told = edgecnn(*explain, "--force").out
    assert "correlation" in told
    assert edgecnn("explain", "lenet5.onnx", "--image", photo, "-o", "x.txt").code == 2
    assert edgecnn("explain", "lenet5.onnx", "--image", "none.png", "-o", "y.png").code == 1
    assert edgecnn("explain", "lenet5.onnx", "--image", photo, "--accuracy").code == 2


def test_time_is_told_layer_by_layer(edgecnn: Edgecnn) -> None:
    made(edgecnn, written(toy.excited()))
    said = edgecnn("explain", "net.int8.onnx", "--threads", "1", "--top", "3")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert re.fullmatch(r"net.int8.onnx on onnxruntime [\d.]+, 1 thread: [\d.]+ ms a run", lines[0])
    head = next(index for index, line in enumerate(lines) if line.startswith("layer"))
    assert re.search(r" more layers take [\d.]+ ms: --top \d+$", lines[head + 4])
    assert "activation   " in said.out
    assert "reformat     " in said.out
    assert max(map(len, lines)) <= 100
    document = edgecnn("explain", "net.int8.onnx", "--threads", "1", "--json").document
    assert {"float", "activation", "reformat"} >= {each["sort"] for each in document["findings"]}
    assert document["run_ms"] > 0
    assert sum(layer["share"] for layer in document["layers"]) == pytest.approx(1)


def test_compile_says_what_became_int8(edgecnn: Edgecnn) -> None:
    made(edgecnn, written(toy.plain()))
    said = edgecnn("compile", "net.int8.onnx")
    assert "audit        4 of 4 layers with weights run in INT8" in said.out
    document = edgecnn("compile", "net.int8.onnx", "net.onnx", "--json").document
    integer, plain = (result["audit"] for result in document["results"])
    assert integer["integer"] == 4
    assert plain is None, "a float file"
