"""`edgecnn half` and `edgecnn compile --engine tensorrt…`, as a user types them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgecnn.onnxfile import read_contract, read_header
from edgecnn.runtime import load
from tests import requirements
from tests.cli.conftest import Edgecnn


def test_a_file_becomes_half_as_large_and_proves_itself(
    edgecnn: Edgecnn, lenet: Path, tmp_path: Path
) -> None:
    shutil.copy(lenet, "net.onnx")
    said = edgecnn("half", "net.onnx")
    assert said.code == 0, said.err
    assert "in FP16, 0 kept in FP32" in said.out
    assert "top-1 equal on 6 of 6" in said.out
    made = tmp_path / "net.fp16.onnx"
    assert made.stat().st_size < 0.55 * lenet.stat().st_size
    assert {spec.dtype for spec in (*read_header(made).inputs, *read_header(made).outputs)} == {
        "float32"
    }
    contract = read_contract(made)
    assert contract.provenance["precision"] == "fp16"
    assert contract.provenance["steps"][-1]["step"] == "half"
    with load(made, threads=1) as model:
        assert model.verify().passed
        assert contract.golden is not None
        assert model.verify().tolerance == contract.golden.tolerance
    again = edgecnn("half", "net.onnx")
    assert again.code == 1
    assert "--force" in again.err


def test_its_json(edgecnn: Edgecnn, lenet: Path, pictures: Path) -> None:
    shutil.copy(lenet, "net.onnx")
    document = edgecnn("half", "net.onnx", "--json", "--calibration", pictures).document
    assert document["format"] == 1
    assert document["output"] == "net.fp16.onnx"
    assert document["images"] == 20
    assert document["layers"] > 5
    assert document["float_layers"] == []
    assert document["check"]["n"] == 4


def test_int8_keeps_its_integers(edgecnn: Edgecnn, lenet: Path, pictures: Path) -> None:
    shutil.copy(lenet, "net.onnx")
    arguments = ("--calibration", pictures, "--effort", "fast", "-o", "int8.onnx")
    assert edgecnn("quantize", "net.onnx", *arguments).code == 0
    said = edgecnn("half", "int8.onnx", "--calibration", pictures, "-o", "both.onnx")
    assert said.code == 0, said.err
    assert read_contract(Path("both.onnx")).provenance["precision"] == "int8+fp16"
    assert edgecnn("verify", "both.onnx").code == 0


def test_a_plan_is_built_ahead_of_time(edgecnn: Edgecnn, lenet: Path) -> None:
    requirements.tensorrt_rtx()
    arguments = ("compile", lenet, "--engine", "tensorrt-rtx", "--compute-capability", "86")
    said = edgecnn(*arguments)
    assert said.code == 0, said.err
    assert "for tensorrt-rtx: built" in said.out
    assert "a proof that it builds" in said.out
    assert "already there" in edgecnn(*arguments).out
    assert "compute capability 86" in edgecnn("cache", "list").out


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (("--engine", "tensorrt", "--compute-capability", "86"), 2, "builds for the GPU that is"),
        (("--engine", "onnxruntime", "--compute-capability", "86"), 2, "says nothing to"),
        (("--engine", "abacus"), 2, "unknown engine 'abacus'"),
    ],
)
def test_what_is_asked_wrongly(
    arguments: tuple[str, ...], code: int, cause: str, edgecnn: Edgecnn, lenet: Path
) -> None:
    said = edgecnn("compile", lenet, *arguments)
    assert said.code == code
    assert cause in said.err
    assert "Hint:" in said.err
