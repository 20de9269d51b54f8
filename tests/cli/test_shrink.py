"""`edgecnn shrink`, as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgecnn.onnxfile import read_contract
from tests.cli.conftest import Edgecnn


def test_a_file_becomes_a_quarter_as_large_and_is_used_like_any_other(
    edgecnn: Edgecnn, lenet: Path
) -> None:
    shutil.copy(lenet, "net.onnx")
    said = edgecnn("shrink", "net.onnx")
    assert said.code == 0, said.err
    assert "top-1 equal on 16 of 16" in said.out
    made = Path("net.w8.onnx")
    assert made.stat().st_size < 0.4 * lenet.stat().st_size
    assert read_contract(made).provenance["precision"] == "w8"
    assert edgecnn("verify", made).code == 0
    assert "audit" not in edgecnn("compile", made).out, "it is computed in floats"
    again = edgecnn("shrink", "net.onnx")
    assert again.code == 1
    assert "--force" in again.err
    document = edgecnn("shrink", "net.onnx", "--force", "--json").document
    assert document["layers"] == 3
    assert document["check"]["n"] == 16


def test_what_has_integers_already_is_refused(edgecnn: Edgecnn, lenet: Path) -> None:
    shutil.copy(lenet, "net.onnx")
    assert edgecnn("shrink", "net.onnx").code == 0
    for verb in ("shrink", "quantize", "half"):
        said = edgecnn(verb, "net.w8.onnx", "--calibration", "natural:16")
        assert said.code == 1, verb
        assert "it is quantized already" in said.err
