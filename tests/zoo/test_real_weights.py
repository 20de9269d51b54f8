"""With real weights, the networks know real images: definition, weights and recipe fit."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from edgecnn.contract import Preprocess
from edgecnn.zoo import find
from edgecnn.zoo.weights import LoadedWeights, load_weights

Pixels = NDArray[np.float32]

# Accuracy in percent on the whole test set, as JPEG (the lossless images give 9 points more).
CIFAR_TOP1 = {"resnet20": 81.0, "resnet32": 82.6, "resnet44": 82.7, "resnet56": 83.2}
CIFAR_FILES = {
    "resnet20": "resnet20-12fca82f.th",
    "resnet32": "resnet32-d509ac18.th",
    "resnet44": "resnet44-014dd654.th",
    "resnet56": "resnet56-4bfd9763.th",
}


def normalized(image: Image.Image, recipe: Preprocess) -> Pixels:
    """Pillow's own resizing, by the recipe."""
    image = image.convert("RGB")
    if recipe.crop_fraction is not None:
        side = round(recipe.crop_fraction * min(image.size))
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if recipe.resize is not None:
        factor = recipe.resize / min(image.size)
        size = (round(image.width * factor), round(image.height * factor))
        image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = (image.width - recipe.size[1]) // 2, (image.height - recipe.size[0]) // 2
        image = image.crop((left, top, left + recipe.size[1], top + recipe.size[0]))
    pixels = np.asarray(image.resize(recipe.size[::-1], Image.Resampling.BILINEAR), np.float32)
    return (
        ((pixels * recipe.scale - recipe.mean) / recipe.std).astype(np.float32).transpose(2, 0, 1)
    )


def cifar_top1(loaded: LoadedWeights, data: Path, step: int) -> float:
    """Accuracy in percent on every `step`-th image of the test set."""
    archive = np.load(data / "cifar10" / "cifar10_test_jpg.npz")
    blob, offsets, labels = archive["blob"], archive["offsets"], archive["labels"]
    right = 0
    chosen = range(0, len(labels), step)
    for start in range(0, len(chosen), 250):
        part = chosen[start : start + 250]
        images = np.stack(
            [
                normalized(
                    Image.open(io.BytesIO(blob[offsets[index] : offsets[index + 1]].tobytes())),
                    loaded.preprocess,
                )
                for index in part
            ]
        )
        with torch.no_grad():
            found = loaded.module(torch.from_numpy(images)).argmax(1).numpy()
        right += int((found == labels[list(part)]).sum())
    return 100 * right / len(chosen)


def cifar(name: str, data: Path) -> LoadedWeights:
    path = data / "weights" / "cifar10" / CIFAR_FILES[name]
    return load_weights(find(name), str(path), cache=data)


@pytest.mark.parametrize("name", CIFAR_TOP1)
def test_cifar_weights_are_known_for_what_they_are(name: str, real_data: Path) -> None:
    loaded = cifar(name, real_data)
    assert loaded.tag == "akamaster"
    assert loaded.published is not None
    assert loaded.labels[:2] == ("airplane", "automobile")


def test_a_cifar_resnet_knows_most_of_500_test_images(real_data: Path) -> None:
    # The interval that 500 of the 10,000 images leave.
    top1 = cifar_top1(cifar("resnet20", real_data), real_data, step=20)
    assert top1 == pytest.approx(CIFAR_TOP1["resnet20"], abs=3.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CIFAR_TOP1)
def test_cifar_resnets_on_the_whole_test_set(name: str, real_data: Path) -> None:
    top1 = cifar_top1(cifar(name, real_data), real_data, step=1)
    assert top1 == pytest.approx(CIFAR_TOP1[name], abs=0.3)


def imagenet_photos(data: Path, recipe: Preprocess, step: int) -> tuple[Pixels, list[int]]:
    """Every `step`-th of the labelled validation images, and their classes."""
    with (data / "imagenet" / "labels.tsv").open(newline="") as stream:
        table = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = [row for row in table if row["subset"] == "val"][::step]
    images = [normalized(Image.open(data / "imagenet" / row["file"]), recipe) for row in rows]
    return np.stack(images), [int(row["class"]) for row in rows]


def top1(answers: NDArray[np.float32], classes: list[int]) -> float:
    return float((answers.argmax(1) == np.array(classes)).mean())


def test_mobilenetv1_answers_as_its_onnx_export_does(real_data: Path) -> None:
    folder = real_data / "weights" / "imagenet"
    loaded = load_weights(
        find("mobilenetv1_0.25"), str(folder / "mobilenet_v1_0.25_224.pth"), cache=real_data
    )
    images, classes = imagenet_photos(real_data, loaded.preprocess, 20)
    session = onnxruntime.InferenceSession(folder / "mobilenet_v1_0.25_224.onnx")
    (expected,) = session.run(None, {session.get_inputs()[0].name: images})
    with torch.no_grad():
        answers = loaded.module(torch.from_numpy(images)).numpy()
    assert np.abs(answers - expected).max() < 1e-4
    assert top1(answers, classes) > 0.5  # 65.85 % on the set that these images are from


def test_squeezenet_knows_real_photos(real_data: Path) -> None:
    path = real_data / "weights" / "imagenet" / "squeezenet1_1.pth"
    loaded = load_weights(find("squeezenet1_1"), str(path), cache=real_data)
    images, classes = imagenet_photos(real_data, loaded.preprocess, 20)
    with torch.no_grad():
        answers = loaded.module(torch.from_numpy(images)).numpy()
    assert top1(answers, classes) > 0.55  # 70.1 % on the set that these images are from
