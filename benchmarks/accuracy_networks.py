"""The networks with real weights, and their images, that the accuracy of INT8 is measured on."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.datasets.images import read_image
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.runtime.preprocess import preprocess
from edgecnn.zoo.catalog import find

Floats = NDArray[np.float32]

EVALUATED = ("val", "ccby")
_TENSORFLOW = Preprocess(
    size=(224, 224), crop_fraction=0.875, scale=1 / 127.5, mean=(1.0, 1.0, 1.0)
)
_TORCHVISION = Preprocess(
    size=(224, 224),
    crop_fraction=0.875,
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


@dataclass(frozen=True, slots=True)
class Network:
    """A file or a checkpoint below weights/imagenet; without either, weights from a package."""

    name: str
    preprocess: Preprocess
    file: str = ""
    zoo: str = ""
    first_class: int = 0
    """The index of the output for class 0: 1 where a background class comes first."""


NETWORKS = {
    network.name: network
    for network in (
        Network("mobilenetv1_025", _TENSORFLOW, file="mobilenet_v1_0.25_224.onnx"),
        Network(
            "efficientnet_lite0",
            find("efficientnet_lite0").weights[0].preprocess,
            zoo="efficientnet_lite0",
        ),
        Network("squeezenet1_1", _TORCHVISION, file="squeezenet1_1.pth", zoo="squeezenet1_1"),
        Network(
            "mobilenetv2_dequantised",
            _TENSORFLOW,
            file="mobilenet_v2_1.0_224_dequantised.onnx",
            first_class=1,
        ),
    )
}


@cache
def data() -> Path:
    """The folder with images and weights; raises SystemExit where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("EDGECNN_TEST_DATA", default))
    if not (folder / "imagenet" / "labels.tsv").is_file():
        raise SystemExit(f"no test data in {folder}: EDGECNN_TEST_DATA names the folder")
    return folder


def float_file(network: Network, folder: Path) -> Path:
    """The network's float file, exported into `folder` where it is not one already."""
    weights = data() / "weights" / "imagenet" / network.file
    if not network.zoo:
        return weights
    path = folder / f"{network.name}.onnx"
    if not path.exists():
        options = ExportOptions(weights=str(weights) if network.file else None, images=4)
        export(network.zoo, output=path, options=options)
    return path


def images(network: Network, subset: str, folder: Path) -> Floats:
    """All images of a subset, preprocessed, (n, 3, height, width), in a file mapped to memory."""
    path = folder / f"{network.name}-{subset}.npy"
    if not path.exists():
        paths = [data() / "imagenet" / row["file"] for row in _rows(subset)]
        partial = path.with_suffix(".partial")
        shape = (len(paths), 3, *network.preprocess.size)
        stored = open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        for index, image in enumerate(paths):
            stored[index] = preprocess(read_image(image), network.preprocess)[0]
        stored.flush()
        partial.rename(path)
    mapped: Floats = np.load(path, mmap_mode="r")
    return mapped


def labels(network: Network, subset: str) -> NDArray[np.intp]:
    """The output that is right for each image of a subset."""
    return np.array([int(row["class"]) + network.first_class for row in _rows(subset)])


def _rows(subset: str) -> list[dict[str, str]]:
    return sorted((row for row in _table() if row["subset"] == subset), key=lambda row: row["file"])


def _table() -> Iterator[dict[str, str]]:
    with (data() / "imagenet" / "labels.tsv").open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
