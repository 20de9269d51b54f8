"""The calibration doctor finds what is wrong with a set, and says what to do about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import load, numpy_helper, save
from PIL import Image

from edgecnn.datasets.natural import natural_image
from edgecnn.errors import DataError, RecipeError
from edgecnn.graph.convergence import Convergence
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.checkup_json import document
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.doctor import CheckOptions, Checkup, check_calibration, short_checkup
from edgecnn.pipeline.findings import findings, short_line, verdict
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Silent
from tests import toy

Pixels = NDArray[np.uint8]
SIDE = 16
PLAIN = ContractOptions(mean=(0.5,), std=(0.25,))


def write(
    folder: Path, count: int, *, seed: int = 0, change: Callable[[Pixels], Pixels] | None = None
) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = natural_image(index, height=48, width=64, seed=seed)
        Image.fromarray(change(pixels) if change else pixels).save(folder / f"{index:02}.png")
    return folder


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


def warm(pixels: Pixels) -> Pixels:
    return np.stack([pixels[..., 0] // 2 + 120, pixels[..., 1], pixels[..., 2] // 2], axis=2)


def again(source: Path, target: Path) -> None:
    """The same picture in other bytes."""
    Image.open(source).save(target, quality=95)


def check(source: Path, **options: object) -> Checkup:
    chosen = replace(CheckOptions(contract=PLAIN), **options)  # type: ignore[arg-type]
    return check_calibration(str(source), options=chosen)


def told(checkup: Checkup, label: str) -> str:
    return next(found.text for found in findings(checkup) if found.label == label)


def warnings(checkup: Checkup) -> dict[str, str]:
    return {found.label: found.warning for found in findings(checkup) if found.warning}


def test_a_good_set_is_good(photos: Path) -> None:
    found = check(photos)
    assert verdict(found) == "ok"
    assert told(found, "images") == f"32 from {photos}"
    assert told(found, "different") == "no near-duplicates, 32 different scenes"
    assert found.sha256 == find_calibration(str(photos)).sha256
    assert short_line(found) == "32 images, no near-duplicates"


def test_near_duplicates_are_named(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    for index in range(5):
        again(photos / f"{index:02}.png", tmp_path / "set" / f"z{index}.jpg")
    found = check(tmp_path / "set")
    assert found.near_duplicates == tuple(f"z{index}.jpg" for index in range(5))
    assert "5 near-duplicates (z0.jpg, z1.jpg, …)" in told(found, "different")
    assert "teach nothing new" in warnings(found)["different"]
    assert found.problem is None


def test_images_of_the_evaluation_set_are_found(photos: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "labelled", 8, seed=9)
    assert told(check(photos, against=other), "overlap") == f"none of them in {other} (8 images)"
    shutil.copy(photos / "03.png", other / "0_same.png")
    again(photos / "05.png", other / "0_nearly.jpg")
    found = check(photos, against=other)
    assert found.overlap is not None
    assert (found.overlap.exact, found.overlap.near) == (1, 1)
    assert found.overlap.shared == ("03.png", "05.png")
    assert "2 calibration images also in" in warnings(found)["overlap"]
    assert short_line(found) == "32 images, no near-duplicates, 2 of them in labelled"


def test_of_a_table_only_the_files_that_it_lists_are_compared(photos: Path, tmp_path: Path) -> None:
    write(tmp_path / "labelled", 3, seed=9)
    beside = tmp_path / "val.tsv"
    listed = sorted((tmp_path / "labelled").iterdir())
    beside.write_text("".join(f"{path}\t0\n" for path in listed), encoding="utf-8")
    assert told(check(photos, against=beside), "overlap") == f"none of them in {beside} (3 images)"
    with beside.open("a", encoding="utf-8") as table:
        table.write(f"{photos / '03.png'}\t1\n")
    found = check(photos, against=beside)
    assert found.overlap is not None
    assert found.overlap.shared == ("03.png",)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda pixels: pixels // 8, "very dark"),
        (lambda pixels: 255 - pixels // 8, "very bright"),
        (lambda pixels: pixels // 16 + 120, "little contrast"),
    ],
)
def test_bad_light_is_seen(change: Callable[[Pixels], Pixels], what: str, tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 20, change=change))
    assert what in warnings(found)["light"]
    assert verdict(found) == "warnings"


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


def test_all_that_cannot_be_read_is_listed_and_the_rest_looked_at(
    photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "set")
    for name in ("02.png", "04.png"):
        (tmp_path / "set" / name).write_bytes(b"no picture")
    found = check(tmp_path / "set")
    assert verdict(found) == "refused"
    assert found.images == 30
    assert "2 images cannot be read" in warnings(found)["images"]
    assert "04.png" in warnings(found)["images"]


@pytest.mark.parametrize("color", [0, 90, 255])
def test_images_of_one_colour_are_hopeless(color: int, tmp_path: Path) -> None:
    flat = write(tmp_path / "set", 20, change=lambda pixels: np.full_like(pixels, color))
    found = check(flat)
    assert "19 of 20 images are near-duplicates" in str(found.problem)
    assert found.light is not None
    assert len(found.light.flat) == 20


def test_too_few_are_hopeless_and_looked_at_all_the_same(tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 5))
    assert "5 images; 16 different ones are the least" in str(found.problem)
    assert told(found, "different") == "no near-duplicates, 5 different scenes"
    with pytest.raises(DataError, match="5 images"):
        find_calibration(str(tmp_path / "set"))


def noise(pixels: Pixels) -> Pixels:
    random = np.random.default_rng(int(pixels.sum()))
    return random.integers(0, 256, pixels.shape).astype(np.uint8)


def test_a_folder_of_noise_is_hopeless(tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 20, change=noise))
    assert verdict(found) == "refused"
    assert "20 of 20 images are noise" in str(found.problem)
    with pytest.raises(DataError, match="20 of 20 images are noise") as refused:
        find_calibration(str(tmp_path / "set"))
    assert "--calibration random" in refused.value.hint


def test_single_images_of_noise_are_warned_of(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    write(tmp_path / "noise", 2, change=noise)
    for index in range(2):
        shutil.copy(tmp_path / "noise" / f"0{index}.png", tmp_path / "set" / f"z{index}.png")
    found = check(tmp_path / "set")
    assert found.problem is None
    assert warnings(found) == {"light": "2 images of pure noise (z0.png, z1.png): take them out"}


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


def test_a_set_that_is_not_what_its_file_says_is_refused(photos: Path, tmp_path: Path) -> None:
    described = tmp_path / "set.toml"
    described.write_text(f'source = "{photos}"\nsha256 = "{"0" * 64}"\n')
    assert "not the ones it was written for" in str(check(described).problem)
    described.write_text(f'source = "{photos}"\nsha256 = "{check(photos).sha256}"\n')
    assert check(described).problem is None
    for line in ("seed = -1", "count = true", "licence = 3"):
        described.write_text(f'source = "{photos}"\n{line}\n')
        with pytest.raises(RecipeError, match=line.partition(" ")[0]):
            check(described)


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
