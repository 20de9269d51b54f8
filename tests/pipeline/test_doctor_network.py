"""What the calibration doctor sees through the network: colours, scale, classes, ranges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import load, numpy_helper, save

from edgecnn.graph.convergence import Convergence
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.checkup_json import document
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.doctor import short_checkup
from edgecnn.pipeline.findings import short_line
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Silent
from tests import toy
from tests.pipeline.doctored import PLAIN, SIDE, Pixels, check, told, warm, warnings, write


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("photos") / "set", 32)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Surer the warmer an image is: class 0 is worth ten times red less blue."""
    net = toy.Net(side=SIDE)
    means = net.node("Flatten", net.node("GlobalAveragePool", net.conv("image", 3, 1, bias=False)))
    model = net.model(net.gemm(means, 3))
    kernel, weight, bias = model.graph.initializer
    for tensor, values in (
        (kernel, np.eye(3)[:, :, None, None]),
        (weight, np.vstack([[10.0, 0.0, -10.0], np.zeros((toy.CLASSES - 1, 3))])),
        (bias, np.zeros(toy.CLASSES)),
    ):
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    path = tmp_path_factory.mktemp("net") / "warm.onnx"
    save(model, str(path))
    return path


def test_the_right_colours_the_wrong_ones_and_too_little_to_tell(
    network: Path, tmp_path: Path
) -> None:
    right = check(write(tmp_path / "right", 32, change=warm), model=network)
    assert "RGB fits" in told(right, "colours")
    wrong = check(
        write(tmp_path / "wrong", 32, change=lambda pixels: warm(pixels)[..., ::-1].copy()),
        model=network,
    )
    assert "try --color BGR" in warnings(wrong)["colours"]
    grey = check(
        write(tmp_path / "grey", 32, change=lambda p: np.repeat(p[..., 1:2], 3, axis=2)),
        model=network,
    )
    assert told(grey, "colours") == "RGB; not judged"


def test_one_class_for_everything_is_suspicious(network: Path, tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 20, change=warm), model=network)
    assert told(found, "classes") == "1 of 10 predicted on 20 images, the most frequent on 100%"
    assert "takes 100% of the images for one class" in warnings(found)["classes"]


def test_input_values_far_from_normalised_are_told(photos: Path, network: Path) -> None:
    assert "values" not in warnings(check(photos, model=network))
    off = ContractOptions(scale=1.0, mean=(0.5,), std=(0.25,))
    assert (
        "check --scale 1 --mean 0.5,0.5,0.5"
        in warnings(check(photos, model=network, contract=off))["values"]
    )
    raw = ContractOptions(scale=1.0, mean=(0.0,), std=(1.0,))
    found = check(photos, model=network, contract=raw)
    assert "pixels x 1, not normalised" in told(found, "values")
    assert "values" not in warnings(found)


def test_how_far_the_ranges_would_still_move_is_foretold(photos: Path, network: Path) -> None:
    found = check(photos, model=network)
    assert found.convergence is not None
    assert found.convergence.images == 32
    assert "64 more images would change them by about" in told(found, "ranges")
    settled = replace(found, convergence=Convergence(32, {"a": 0.001, "b": 0.02}))
    assert "about 0.4%, at most 0.8% (b)" in told(settled, "ranges")
    assert "ranges" not in warnings(settled)
    unsettled = replace(found, convergence=Convergence(32, {"a": 0.2, "b": 0.3}))
    assert "not settled" in warnings(unsettled)["ranges"]


def tint_network(path: Path, *, bounded: bool) -> Path:
    """Tells red, green and blue images apart, prepared as values from -1 to 1.

    Bounded by a ReLU6 it sees one thing in all raw pixels, else it is absurdly sure of them.
    """
    net = toy.Net(side=SIDE)
    maps = net.conv("image", 6, 1, bias=False)
    means = net.node("GlobalAveragePool", net.relu6(maps) if bounded else net.relu(maps))
    model = net.model(net.gemm(net.node("Flatten", means), 6))
    colours, signs = np.repeat(np.eye(3), 2, axis=0), np.tile([4.0, -4.0], 3)
    classes = np.zeros((toy.CLASSES, 6))
    classes[:3] = (2 * np.eye(3) - 1).repeat(2, axis=1) * np.tile([2.0, -2.0], 3)
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    values = {
        layers[0].input[1]: (colours * signs[:, None])[:, :, None, None],
        layers[1].input[1]: classes,
        layers[1].input[2]: np.zeros(toy.CLASSES),
    }
    for tensor in model.graph.initializer:
        if tensor.name in values:
            array = values[tensor.name].astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    save(model, str(path))
    return path


def tinted(pixels: Pixels) -> Pixels:
    tint = np.zeros(3, np.uint8)
    tint[int(pixels.sum()) % 3] = 190
    return pixels // 4 + tint


RAW = ContractOptions(scale=1.0, mean=(0.0,), std=(1.0,))
CENTRED = ContractOptions(scale=1 / 127.5, mean=(1.0,), std=(1.0,))


@pytest.mark.parametrize(("bounded", "how"), [(True, "hardly tells"), (False, "absurdly sure")])
def test_raw_pixels_for_a_network_that_was_trained_normalised(
    bounded: bool, how: str, tmp_path: Path
) -> None:
    images, file = write(tmp_path / "set", 30, change=tinted), tmp_path / "net.onnx"
    found = check(images, model=tint_network(file, bounded=bounded), contract=RAW)
    assert how in warnings(found)["scale"]
    assert "prepared with --scale 1 --mean 0,0,0 --std 1,1,1" in warnings(found)["scale"]
    better = document(found)["seen"]["scaling"]["better"]
    assert better["scale"] != 1
    assert better["told_nats"] > 0.9  # of log(3)
    assert "scale" not in warnings(check(images, model=file, contract=CENTRED))


def test_normalised_values_for_a_network_that_was_trained_on_pixels(tmp_path: Path) -> None:
    """Its first layer does what the contract says again."""
    images, file = write(tmp_path / "set", 30, change=tinted), tmp_path / "net.onnx"
    model = load(str(tint_network(file, bounded=True)))
    first = model.graph.node[0]
    kernel = next(item for item in model.graph.initializer if item.name == first.input[1])
    pixels = numpy_helper.to_array(kernel) / np.float32(127.5)
    kernel.CopyFrom(numpy_helper.from_array(pixels, kernel.name))
    offset = -127.5 * pixels.sum(axis=(1, 2, 3))
    model.graph.initializer.append(numpy_helper.from_array(offset, "offset"))
    first.input.append("offset")
    save(model, str(file))
    found = check(images, model=file, contract=CENTRED)
    assert "hardly tells images apart" in warnings(found)["scale"]
    assert "--scale 1 --mean 0,0,0 --std 1,1,1 suits it better" in warnings(found)["scale"]
    assert "scale" not in warnings(check(images, model=file, contract=RAW))


def test_noise_is_called_noise(network: Path) -> None:
    found = check(Path("random:20"), model=network)
    assert list(warnings(found)) == ["images"]
    assert "random noise" in warnings(found)["images"]


def test_what_it_says_can_be_written_as_json(photos: Path, network: Path, tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 20, change=warm), model=network, against=photos)
    whole = json.loads(json.dumps(document(found), allow_nan=False))
    assert whole["verdict"] == "warnings"
    assert whole["seen"]["colors"]["verdict"] == "fits"
    assert whole["overlap"]["images"] == 32
    assert set(whole["convergence"]["change"]) >= {"image"}


def test_before_quantizing_the_same_is_asked_in_short(photos: Path, network: Path) -> None:
    images = find_calibration(str(photos))
    contract = contract_of(network, PLAIN)
    to_fit, aside = (Frames(part, contract) for part in images.split(0.2))
    found = short_checkup(images, network, (to_fit, aside), narrator=Silent())
    assert found.seen is not None
    assert found.seen.images == 32
    assert "class" in short_line(found)
    broken = short_checkup(images, Path("missing.onnx"), (to_fit, aside), narrator=Silent())
    assert broken.seen is None
