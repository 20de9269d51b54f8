"""Detectors go the same way as classifiers: a file from elsewhere, INT8, boxes in the frame."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from edgecnn.cli.app import run
from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.datasets.calibration import open_calibration
from edgecnn.datasets.images import image_paths, read_image
from edgecnn.datasets.natural import natural_images
from edgecnn.errors import ContractError
from edgecnn.onnxfile import read_contract, read_header
from edgecnn.pipeline.boxes import compare_boxes, describe
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.narrator import Silent
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.pipeline.verified import remedy
from edgecnn.recipe import read_recipe
from edgecnn.runtime import Model, load
from edgecnn.runtime.preprocess import Image as Pixels
from tests.pipeline.building import check_builds

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("EDGECNN_TEST_DATA", ROOT.parent / "shared" / "data"))
NANODET = DATA / "weights" / "detect" / "nanodet_m_416.onnx"
with_nanodet = pytest.mark.skipif(not NANODET.exists(), reason=f"{NANODET} is not there")

OPTIONS = ContractOptions(
    size=(416, 416),
    pad=0,
    color="BGR",
    scale=1.0,
    mean=(103.53, 116.28, 123.675),
    std=(57.375, 57.12, 58.395),
    labels=NANODET.with_name("coco.names"),
    detection={"decoder": "nanodet"},
)


@pytest.fixture(scope="module")
def nanodet() -> Model:
    return load(NANODET, contract=contract_of(NANODET, OPTIONS), threads=1)


@with_nanodet
@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("bus.jpg", {"bus": 1, "person": 2}),
        ("cat.bmp", {"cat": 1}),
        ("owl.jpg", {"bird": 1}),
        ("person.jpg", {"person": 1, "dog": 1}),
    ],
)
def test_nanodet_sees_what_is_on_the_photos(
    nanodet: Model, photo: str, expected: dict[str, int]
) -> None:
    image = read_image(DATA / "photos" / photo)
    found = nanodet.detect(image).above(0.5)
    assert {name: found.names.count(name) for name in found.names} == expected
    height, width = image.shape[:2]
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [width, height, width, height]).all()


@with_nanodet
def test_a_box_lies_where_the_object_is(nanodet: Model) -> None:
    found = nanodet.detect(read_image(DATA / "photos" / "bus.jpg"))
    assert found.names[0] == "bus"
    # The bus as seen by eye, left, top, right, bottom; the photo is 810 x 1080.
    np.testing.assert_allclose(found.boxes[0], [20, 230, 800, 740], atol=30)


@with_nanodet
def test_strides_and_classes_come_from_the_graph() -> None:
    contract = contract_of(NANODET, OPTIONS)
    assert contract.task == "detection"
    assert contract.detection is not None
    assert contract.detection.strides == (8, 16, 32)
    assert contract.preprocess.resize is None
    assert contract.label(0) == "person"


def test_a_graph_that_is_no_nanodet_is_refused() -> None:
    outputs = (TensorSpec("logits", "float32", (1, 1000)),)
    with pytest.raises(ContractError, match="nanodet: 1 outputs, of which 0 strides are known"):
        describe({"decoder": "nanodet"}, outputs, (416, 416))
    with pytest.raises(ContractError, match="decoder"):
        describe({}, outputs, (416, 416))


def test_the_recipe_for_nanodet_says_what_the_options_say() -> None:
    recipe = read_recipe(ROOT / "recipes" / "nanodet-int8.toml")
    assert recipe.detection == {"decoder": "nanodet"}
    assert recipe.preprocess["pad"] == 0
    assert recipe.preprocess["color"] == "BGR"


DETECTORS = ("ssdlite320_mobilenetv3", "ssd300_vgg16")


@pytest.fixture(scope="module")
def ssdlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SSDLite at a small size with random weights, exported once."""
    target = tmp_path_factory.mktemp("ssd") / "ssdlite.onnx"
    options = ExportOptions(weights="random", images=4, contract=ContractOptions(size=(96, 128)))
    export(DETECTORS[0], output=target, options=options)
    return target


def test_ssd_leaves_as_raw_heads_with_the_boxes_they_mean(ssdlite: Path) -> None:
    header, contract = read_header(ssdlite), read_contract(ssdlite)
    assert [spec.name for spec in header.outputs] == ["logits", "boxes"]
    assert contract.task == "detection"
    assert contract.detection is not None
    assert contract.detection.background == 0
    (frame,) = natural_images(1, height=120, width=160, seed=4)
    with load(ssdlite, threads=1) as model:
        found = model.detect(frame)
        assert model.verify().passed
        with pytest.raises(ContractError, match="a detector, whose answer is boxes"):
            model.classify(frame)
    assert 0 not in found.classes
    assert len(found) <= contract.detection.max_boxes
    assert (np.diff(found.scores) <= 0).all()


def test_only_the_surest_boxes_are_shown(
    ssdlite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frame,) = natural_images(1, height=120, width=160, seed=4)
    Image.fromarray(frame).save(tmp_path / "frame.png")

    def classify(*options: str) -> str:
        assert run(["classify", str(ssdlite), str(tmp_path / "frame.png"), *options]) == 0
        return capsys.readouterr().out

    everything = json.loads(classify("--json"))["results"][0]["boxes"]
    count = len(everything)
    assert count > 10
    shown = classify().splitlines()
    assert (len(shown), shown[-1]) == (
        12,
        f"  and {count - 10} more: --top shows as many as you say",
    )
    assert len(classify("--top", "3").splitlines()) == 5
    assert json.loads(classify("--top", "3", "--json"))["results"][0]["boxes"] == everything[:3]
    assert run(["evaluate", str(ssdlite), "--data", str(tmp_path)]) == 1
    assert "a detector, whose answer is boxes: it has no top-1" in capsys.readouterr().err


def test_a_file_agrees_with_itself_on_every_box(ssdlite: Path) -> None:
    contract = read_contract(ssdlite)
    frames = list(natural_images(2, height=96, width=128, seed=5))
    check = compare_boxes(ssdlite, ssdlite.read_bytes(), contract, frames)
    assert (check.images, check.share) == (2, 1.0)


class Warned(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """One more."""
        self.warnings.append(text)


def goes_on(fp32: Path, int8: Path, pictures: Path) -> None:
    """An exported detector with random weights becomes INT8, proves itself and gives boxes."""
    images, told = find_calibration(str(pictures), limit=16), Warned()
    options = QuantizeOptions(effort="fast", method="minmax")
    quantize(fp32, images, options=options, output=int8, narrator=told)
    assert int8.stat().st_size < 0.4 * fp32.stat().st_size
    blamed = [text for text in told.warnings if "images may help" in text or "objects" in text]
    assert not blamed, "no images help random weights"
    (frame,) = natural_images(1, height=120, width=160, seed=3)
    for path in (fp32, int8):
        with load(path, threads=1) as model:
            assert model.verify().passed
            found = model.detect(frame)
        assert 0 not in found.classes
        assert bool((np.diff(found.scores) <= 0).all())
        assert bool(((found.boxes >= 0) & (found.boxes <= [160, 120, 160, 120])).all())


def test_ssdlite_goes_all_the_way(ssdlite: Path, pictures: Path, tmp_path: Path) -> None:
    goes_on(ssdlite, tmp_path / "int8.onnx", pictures)


@pytest.mark.slow
def test_tensorrt_rtx_builds_ssdlite(ssdlite: Path, pictures: Path) -> None:
    check_builds(ssdlite, pictures)


@pytest.mark.slow
def test_ssd300_goes_all_the_way(pictures: Path, tmp_path: Path) -> None:
    fp32 = tmp_path / "ssd300.onnx"
    result = export(DETECTORS[1], output=fp32, options=ExportOptions(weights="random", images=2))
    assert result.exported.notes == ()
    assert result.exported.parity.rel < 5e-5
    goes_on(fp32, tmp_path / "int8.onnx", pictures)
    check_builds(fp32, pictures)


def test_agreement_of_random_weights_is_no_fault_of_the_images() -> None:
    outputs = (TensorSpec("logits", "float32", (1, 10)),)
    inputs = (TensorSpec("input", "float32", (1, 3, 32, 32)),)
    drawn = Contract(
        inputs, outputs, Preprocess(size=(32, 32)), provenance={"weights": {"source": "random"}}
    )
    assert "its weights are random" in remedy(drawn, "fast")
    trained = replace(drawn, provenance={})
    assert remedy(trained, "default").startswith("more or better calibration images")
    assert "--effort default" in remedy(trained, "fast")


@with_nanodet
@pytest.mark.slow
def test_int8_finds_the_boxes_of_fp32(tmp_path: Path) -> None:
    int8 = tmp_path / "nanodet.int8.onnx"
    images = open_calibration(str(DATA / "imagenet" / "calibration"), limit=60)
    options = QuantizeOptions(contract=OPTIONS, effort="fast", method="minmax")
    result = quantize(NANODET, images, options=options, output=int8)
    written = read_contract(int8)
    assert written.task == "detection"
    step = json.loads(json.dumps(written.provenance["steps"]))[-1]
    assert result.verification.boxes is not None
    assert step["check"]["boxes"]["boxes"] == result.verification.boxes.boxes
    sources = (
        ("photos", photos(DATA / "photos"), 15),
        ("validation", photos(DATA / "imagenet" / "val", 250), 90),
        ("clip", clip(DATA / "video" / "bigbuckbunny.mp4"), 15),
    )
    for name, frames, least in sources:
        check = compare_boxes(NANODET, int8.read_bytes(), written, frames)
        assert check.boxes >= least, name
        assert check.share is not None
        assert check.share >= 0.9, name
        assert check.extra <= 0.1 * check.boxes, name


def photos(folder: Path, most: int | None = None) -> list[Pixels]:
    return [read_image(path) for path in image_paths(folder)[:most]]


def clip(path: Path) -> list[Pixels]:
    """Every second frame."""
    with av.open(str(path)) as container:
        frames = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame in container.decode(video=0)
        ]
    return frames[::2]
