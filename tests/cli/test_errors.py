"""Bad input: one line of cause, one of advice, exit 1 or 2, no traceback and nothing left over."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgecnn.cli.app import INTERRUPTED
from tests.cli.conftest import Edgecnn, Said

Prepare = Callable[[Path, Path], tuple[object, ...]]


def complains(said: Said, *, code: int, cause: str) -> None:
    assert said.code == code, said.err
    cause_line, hint_line = said.err.strip().splitlines()[-2:]
    assert cause_line.startswith("Error: ")
    assert cause in cause_line
    assert hint_line.startswith("Hint:  ")
    assert len(hint_line) > len("Hint:  ")
    assert "Traceback" not in said.err + said.out
    assert "wrote" not in said.out


def picture(path: Path, *, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        picture(folder / f"{index}_.png", seed=index)
    return folder


def not_onnx(here: Path, lenet: Path) -> tuple[object, ...]:
    (here / "x.onnx").write_text("hello")
    return ("verify", "x.onnx")


def truncated(here: Path, lenet: Path) -> tuple[object, ...]:
    (here / "x.onnx").write_bytes(lenet.read_bytes()[:100_000])
    return ("classify", "x.onnx", picture(here / "cat.png"))


def no_contract(here: Path, lenet: Path) -> tuple[object, ...]:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), here / "x.onnx")
    return ("classify", "x.onnx", picture(here / "cat.png"))


def wrong_shape(here: Path, lenet: Path) -> tuple[object, ...]:
    return ("classify", lenet, picture(here / "cat.png"), "--size", "64")


def zero_byte_image(here: Path, lenet: Path) -> tuple[object, ...]:
    (here / "cat.png").touch()
    return ("classify", lenet, "cat.png")


def no_image(here: Path, lenet: Path) -> tuple[object, ...]:
    (here / "cat.jpg").write_text("not a picture")
    return ("classify", lenet, "cat.jpg")


def empty_folder(here: Path, lenet: Path) -> tuple[object, ...]:
    (here / "photos").mkdir()
    return ("quantize", lenet, "--calibration", "photos")


def too_few(here: Path, lenet: Path) -> tuple[object, ...]:
    return ("quantize", lenet, "--calibration", pictures(here / "photos", 9))


def label_out_of_range(here: Path, lenet: Path) -> tuple[object, ...]:
    folder = here / "data"
    for name in ("0", "12"):
        pictures(folder / name, 2)
    return ("evaluate", lenet, "--data", folder)


def random_weights(here: Path, lenet: Path) -> tuple[object, ...]:
    for name in ("0", "1"):
        pictures(here / "data" / name, 2)
    return ("evaluate", lenet, "--data", "data")


def already_there(here: Path, lenet: Path) -> tuple[object, ...]:
    shutil.copy(lenet, here / "lenet5.onnx")
    return ("export", "lenet5", "--weights", "random")


CASES: tuple[tuple[Prepare, int, str], ...] = (
    (lambda here, lenet: ("verify", "missing.onnx"), 1, "there is no such file"),
    (not_onnx, 1, "not an ONNX file"),
    (truncated, 1, "not an ONNX file, or only a part of one"),
    (no_contract, 1, "without an edgecnn contract"),
    (wrong_shape, 1, "takes float32 1x1x32x32"),
    (zero_byte_image, 1, "cat.png"),
    (no_image, 1, "cat.jpg"),
    (empty_folder, 1, "photos"),
    (too_few, 1, "16"),
    (label_out_of_range, 1, "12"),
    (random_weights, 1, "its weights are random"),
    (already_there, 1, "lenet5.onnx is already there"),
    (lambda here, lenet: ("export", "mobilnetv2"), 2, "no model named 'mobilnetv2'"),
    (lambda here, lenet: ("export", "lenet5"), 1, "lenet5"),
    (lambda here, lenet: ("export", "lenet5", "--weights", "no.pth"), 1, "no.pth"),
    (lambda here, lenet: ("export", "x.onnx", "--mean", "0.5"), 1, "x.onnx"),
    (lambda here, lenet: ("export", "lenet5", "--mean", "0.5"), 2, "--mean does not go"),
    (lambda here, lenet: ("export", "lenet5", "-o", "no/where.onnx"), 1, "there is no folder"),
    (lambda here, lenet: ("verify", lenet, "--engine", "abacus"), 2, "unknown engine 'abacus'"),
    (lambda here, lenet: ("profile", lenet, "--engine", "abacus"), 2, "unknown engine 'abacus'"),
    (lambda here, lenet: ("profile", lenet, "--device", "jetson"), 1, "no device named 'jetson'"),
    (lambda here, lenet: ("quantize", lenet, "--calibration", "nowhere"), 1, "nowhere"),
    (
        lambda here, lenet: ("quantize", lenet, "--calibration", "random", "--target", "tpu"),
        2,
        "tpu",
    ),
    (lambda here, lenet: ("run", "none.toml"), 1, "none.toml: there is no such file"),
)


@pytest.mark.parametrize(("prepare", "code", "cause"), CASES)
def test_bad_input_is_told_in_two_lines(
    edgecnn: Edgecnn, tmp_path: Path, lenet: Path, prepare: Prepare, code: int, cause: str
) -> None:
    arguments = prepare(tmp_path, lenet)
    before = set(tmp_path.rglob("*"))
    said = edgecnn(*arguments)
    complains(said, code=code, cause=cause)
    after = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    assert after <= before, "a file was left over"


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("export",), ("evaluate", "x.onnx"), ("export", "lenet5", "--batch", "-1")],
)
def test_a_wrong_request_ends_with_exit_code_2(
    edgecnn: Edgecnn, arguments: tuple[str, ...]
) -> None:
    said = edgecnn(*arguments)
    assert said.code == 2
    assert "Error" in said.err
    assert "Traceback" not in said.err


def test_the_nearest_name_is_offered(edgecnn: Edgecnn) -> None:
    assert "did you mean mobilenetv2?" in edgecnn("export", "mobilnetv2").err


def test_a_traceback_comes_only_with_debug(edgecnn: Edgecnn) -> None:
    assert "Traceback" not in edgecnn("verify", "missing.onnx").err
    assert "Traceback" in edgecnn("verify", "missing.onnx", "--debug").err


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, lenet: Path) -> None:
    """A file-size limit stands in for a full disk; the file to write is larger than it."""
    code = (
        "import resource, signal, sys; from edgecnn.cli.app import run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    arguments = ("export", str(lenet), "--mean", "0.5", "--std", "0.5", "-o", "copy.onnx")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    complains(Said(done.returncode, "", done.stderr), code=1, cause="File too large")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_told(lenet: Path) -> None:
    """Root may write everywhere, so the command runs as somebody else, once it is loaded."""
    code = (
        "import os, sys; from edgecnn.cli.app import run; import edgecnn.pipeline.export\n"
        "import edgecnn.zoo.catalog\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "export", "lenet5", "--weights", "random"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        complains(said, code=1, cause="no permission to write")
        assert list(folder.iterdir()) == []
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


NETWORK = """
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 10))
"""


def network(folder: Path) -> str:
    (folder / "small.py").write_text(NETWORK)
    return "small:build"


def large_file(folder: Path) -> str:
    """One layer of 48 MB."""
    weights = np.random.default_rng(0).standard_normal((1000, 3 * 64 * 64), np.float32)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1000])
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"], transB=1),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "large.onnx")
    return "large.onnx"


@pytest.mark.parametrize(("source", "said_before"), [(network, "weights"), (large_file, "export")])
def test_an_interrupted_export_leaves_nothing(
    tmp_path: Path, source: Callable[[Path], str], said_before: str
) -> None:
    """While the network is looked at, and while its 48 MB are written."""
    target = tmp_path / "here" / "net.onnx"
    target.parent.mkdir()
    said = ("--size", "64", "--mean", "0.5", "--std", "0.5")
    process = subprocess.Popen(
        [sys.executable, "-m", "edgecnn", "export", source(tmp_path), *said, "-o", str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith(said_before):
        assert process.poll() is None, f"it never said {said_before!r}"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == INTERRUPTED
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert list(target.parent.iterdir()) == []
