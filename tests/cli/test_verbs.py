"""Each verb does its work, says what it did, and tells machines the same as people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import edgecnn as package
from edgecnn.cli.app import cli
from edgecnn.datasets.natural import natural_images
from tests.cli.conftest import Edgecnn


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index, image in enumerate(natural_images(count, height=48, width=64, seed=5)):
        Image.fromarray(image).save(folder / f"{index:03}.png")
    return folder


def all_commands() -> list[list[str]]:
    found: list[list[str]] = [[]]
    for name, command in cli.commands.items():
        found.append([name])
        found += [[name, inner] for inner in getattr(command, "commands", {})]
    return found


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_help_teaches(words: list[str]) -> None:
    said = CliRunner().invoke(cli, [*words, "--help"])
    assert said.exit_code == 0
    assert len(said.output) > 150
    assert max(map(len, said.output.splitlines())) <= 100


def test_the_version_is_the_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "--version"], capture_output=True, text=True, check=True
    )
    assert package.__version__ in done.stdout


def test_export_writes_a_file_that_proves_itself(edgecnn: Edgecnn) -> None:
    said = edgecnn("export", "LeNet-5", "--weights", "random")
    assert said.code == 0, said.err
    for word in ("weights      random", "opset 17, batch 1", "top-1 equal on 64 of 64", "next"):
        assert word in said.out
    assert Path("lenet5.onnx").exists()
    proof = edgecnn("verify", "lenet5.onnx", "--json")
    assert proof.document["passed"] is True
    assert "as shipped" in edgecnn("verify", "lenet5.onnx").out


def test_a_file_that_was_tampered_with_fails_its_proof(edgecnn: Edgecnn, lenet: Path) -> None:
    data = bytearray(lenet.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = np.full(1000, 0.5, dtype=np.float32).tobytes()
    Path("tampered.onnx").write_bytes(data)
    said = edgecnn("verify", "tampered.onnx")
    assert said.code == 1
    assert "the golden check fails" in said.err


def test_inspect_shows_the_contract(edgecnn: Edgecnn, lenet: Path) -> None:
    said = edgecnn("inspect", lenet)
    for word in ("lenet5, fp32", "random", "float32 1x1x32x32", "GRAY"):
        assert word in said.out
    contract = edgecnn("inspect", lenet, "--json").document["contract"]
    assert contract["preprocess"]["size"] == [32, 32]
    assert contract["labels"] == [], "random weights know no classes"


def test_the_way_from_float_to_int8_and_into_use(edgecnn: Edgecnn, lenet: Path) -> None:
    folder = photos(Path("photos"), 24)
    made = edgecnn("quantize", lenet, "--calibration", folder, "-o", "int8.onnx", "--json")
    assert made.code == 0, made.err
    assert made.document["calibration_images"] == 24
    assert Path(made.document["ranges"]).exists()
    written = edgecnn("inspect", "int8.onnx", "--json").document["contract"]["provenance"]
    usual = written["steps"][-1]["usual"]
    assert usual["images"] == 5, "what a camera is compared with"
    assert len(usual["tint"]) == 2
    assert {each["tensor"] for each in usual["ranges"]}, "and its inner layers"
    assert Path("int8.onnx").stat().st_size < lenet.stat().st_size / 2
    assert edgecnn("verify", "int8.onnx", "--json").document["passed"] is True

    compiled = edgecnn("compile", "int8.onnx", "--json").document["results"][0]
    assert compiled["built"] is False, "verify has built it already"
    listed = edgecnn("cache", "list", "--json").document
    entries = {entry["about"].split()[0] for entry in listed["entries"]}
    assert entries - {"preprocessing"} == {"int8.onnx"}, "and the helper, where it was compiled"

    answers = edgecnn("classify", "int8.onnx", folder / "000.png", "--top", "3", "--json").document
    assert len(answers["results"][0]["labels"]) == 3
    assert edgecnn("cache", "clear", "--json").document["freed_bytes"] > 0
    assert edgecnn("cache", "list", "--json").document["entries"] == []


def test_ranges_can_be_used_again(edgecnn: Edgecnn, lenet: Path) -> None:
    folder = photos(Path("photos"), 20)
    first = ("quantize", lenet, "--calibration", folder, "--effort", "fast")
    assert edgecnn(*first, "-o", "a.onnx").code == 0
    again = edgecnn(*first, "-o", "b.onnx", "--ranges", "a.ranges.json")
    assert again.code == 0, again.err
    assert Path("a.ranges.json").read_text() == Path("b.ranges.json").read_text()
    assert "other images" not in again.err
    others = photos(Path("others"), 24)
    last = ("quantize", lenet, "--calibration", others, "--effort", "fast", "-o", "c.onnx")
    assert "learnt on other images" in edgecnn(*last, "--ranges", "a.ranges.json").err


def test_nothing_is_overwritten_unless_it_is_said(edgecnn: Edgecnn) -> None:
    export = ("export", "lenet5", "--weights", "random", "--quiet")
    Path("lenet5.onnx").write_text("mine")
    assert "already there" in edgecnn(*export).err
    assert Path("lenet5.onnx").read_text() == "mine"
    assert edgecnn(*export, "--force").code == 0
    assert edgecnn("inspect", "lenet5.onnx").code == 0


def test_models_lists_the_zoo(edgecnn: Edgecnn) -> None:
    rows = {row["name"]: row for row in edgecnn("models", "--json").document["models"]}
    assert rows["resnet50"]["parameters"] == 25_557_032
    assert rows["mobilenetv2"]["published"]["top1"] == 72.154
    assert rows["lenet5"]["published"] is None


def test_a_profile_takes_the_images_that_a_table_lists(edgecnn: Edgecnn, lenet: Path) -> None:
    folder = photos(Path("photos"), 5)
    (folder / "000.png").write_bytes(b"broken")
    (folder / "two.csv").write_text("001.png,0\n004.png,0\n")
    said = edgecnn(
        *("profile", lenet, "--images", folder / "two.csv", "--threads", "1"),
        *("--precision", "1", "--time-limit", "1", "--json"),
    )
    assert said.code == 0, said.err


def test_a_profile_of_two_files_compares_them(edgecnn: Edgecnn, lenet: Path) -> None:
    folder = photos(Path("photos"), 20)
    edgecnn("quantize", lenet, "--calibration", folder, "-o", "int8.onnx", "--effort", "fast")
    said = edgecnn(
        *("profile", lenet, "int8.onnx", "--images", folder, "--threads", "1"),
        *("--precision", "0.5", "--time-limit", "2", "--json"),
    )
    assert said.code == 0, said.err
    document = said.document
    assert [item["precision"] for item in document["profiles"]] == ["fp32", "int8"]
    assert document["comparisons"][0]["against"] == str(lenet)
    assert all(item["accuracy"] is None for item in document["profiles"])
    assert not list(Path().glob("profile-*"))
