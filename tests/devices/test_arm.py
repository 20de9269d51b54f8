"""From export to report on an aarch64 board behind ssh, and the same answers there as here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgecnn.cli.app import run
from edgecnn.contract import Contract, Preprocess
from edgecnn.datasets.natural import natural_images
from edgecnn.devices import LocalDevice
from edgecnn.devices.answers import answers_on
from edgecnn.devices.facts import facts_of
from edgecnn.devices.find import open_device
from edgecnn.onnxfile import read_header, write_contract
from tests.devices.arm_board import arm_board
from tests.toy import NETS

pytestmark = pytest.mark.slow

BOARD = "ssh://armdev"
IMAGES = 200


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with arm_board(tmp_path_factory.mktemp("arm")) as config:
        yield config


@pytest.fixture(autouse=True)
def board(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_SSH_CONFIG", str(config))
    monkeypatch.setenv("EDGECNN_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_the_board_is_a_jetson_that_is_emulated() -> None:
    with open_device(BOARD) as there:
        facts = facts_of(there)
    assert facts["machine"] == "aarch64"
    assert facts["board"]["title"] == "Jetson Orin Nano, JetPack 6.2"
    assert facts["power_mode"] == "15W"
    assert facts["power_total_mw"] == pytest.approx(5112 * 912 / 1000)
    assert facts["gpu_mhz"] == 624.75
    assert str(facts["emulated"]).startswith("qemu-aarch64")


def test_from_export_to_report(capsys: pytest.CaptureFixture[str]) -> None:
    """A user's whole way, and the emulated board is told from a real one at its end."""
    assert run(["export", "lenet5", "--weights", "random", "-o", "net.onnx"]) == 0
    quantize = ["quantize", "net.onnx", "--calibration", "random", "-o", "net.int8.onnx"]
    assert run(quantize) == 0
    assert run(["devices", "add", "jetson", BOARD]) == 0
    assert run(["devices", "check", "jetson"]) == 0
    assert run(["verify", "net.int8.onnx", "--device", "jetson"]) == 0
    capsys.readouterr()
    profile = ["profile", "net.onnx", "net.int8.onnx", "--device", "jetson", "--precision", "1"]
    assert (
        run([*profile, "--time-limit", "2", "--threads", "1", "-o", "report.html", "--json"]) == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert {each["state"] for each in document["profiles"]} == {"emulated"}
    assert "emulated" in Path("report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    return list(natural_images(IMAGES, height=20, width=20, seed=7))


@pytest.mark.parametrize("name", ["residual", "depthwise"])
@pytest.mark.parametrize("kind", ["fp32", "u8", "s8"])
def test_it_gives_the_answers_of_this_machine(
    name: str, kind: str, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    file = write_net(tmp_path / f"{name}.onnx", name, kind, images)
    with open_device(BOARD) as there:
        theirs = answers_on(there, file, images, threads=1)
    ours = answers_on(LocalDevice(), file, images, threads=1)
    assert theirs.emulated
    assert not ours.emulated
    same = int((theirs.values.argmax(axis=1) == ours.values.argmax(axis=1)).sum())
    assert same >= (IMAGES - 1 if kind == "s8" else IMAGES)
    products = (theirs.values * ours.values).sum(axis=1)
    lengths = np.linalg.norm(theirs.values, axis=1) * np.linalg.norm(ours.values, axis=1)
    assert (products / lengths).min() >= 0.999


def write_net(path: Path, name: str, kind: str, images: list[NDArray[np.uint8]]) -> Path:
    """A toy network, as it is or quantized by ONNX Runtime with unsigned or signed activations."""
    from edgecnn.runtime.preprocess import preprocess

    bare, spec = path.with_suffix(".bare"), Preprocess(size=(16, 16))
    onnx.save(NETS[name](), bare)
    if kind != "fp32":
        _quantize(bare, kind, [preprocess(image, spec) for image in images[:32]])
    header = read_header(bare)
    write_contract(
        bare, path, Contract(inputs=header.inputs, outputs=header.outputs, preprocess=spec)
    )
    return path


def _quantize(path: Path, kind: str, tensors: list[NDArray[np.float32]]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left = iter(tensors)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            tensor = next(self.left, None)
            return None if tensor is None else {"image": tensor}

    activations = QuantType.QUInt8 if kind == "u8" else QuantType.QInt8
    quantize_static(
        str(path), str(path), Reader(), per_channel=True,
        activation_type=activations, weight_type=QuantType.QInt8,
    )  # fmt: skip
