"""The networks with real weights, and their tensors, that the accuracy of INT8 is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from benchmarks.accuracy_pictures import EVALUATED, data, pictures
from edgecnn.contract import Preprocess
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.runtime.preprocess import preprocess

Floats = NDArray[np.float32]

DIGITS = Path(__file__).parents[1] / "recipes" / "digits"
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
    """A file or a checkpoint below weights/; without either, weights from a package.

    Without `preprocess`, that of the exported file's contract.
    """

    name: str
    preprocess: Preprocess | None = None
    file: str = ""
    zoo: str = ""
    kind: str = "imagenet"
    """Of images."""
    first_class: int = 0
    """The index of the output for class 0: 1 where a background class comes first."""

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The subsets of images that scores are made on."""
        return EVALUATED[self.kind]

    @property
    def weights(self) -> Path | None:
        """Where they are, None where a package brings them."""
        if self.kind == "digits":
            return DIGITS / self.file
        return data() / "weights" / self.kind / self.file if self.file else None


def _cifar(depth: int, digits: str) -> Network:
    name = f"resnet{depth}"
    return Network(name, file=f"{name}-{digits}.th", zoo=name, kind="cifar10")


def _digits(name: str) -> Network:
    return Network(f"digits_{name}", file=f"{name}.safetensors", zoo=name, kind="digits")


NETWORKS = {
    network.name: network
    for network in (
        Network("mobilenetv1_025", _TENSORFLOW, file="mobilenet_v1_0.25_224.onnx"),
        Network("efficientnet_lite0", zoo="efficientnet_lite0"),
        Network("squeezenet1_1", _TORCHVISION, file="squeezenet1_1.pth", zoo="squeezenet1_1"),
        Network(
            "mobilenetv2_dequantised",
            _TENSORFLOW,
            file="mobilenet_v2_1.0_224_dequantised.onnx",
            first_class=1,
        ),
        Network("efficientnet_lite1", zoo="efficientnet_lite1"),
        _cifar(20, "12fca82f"),
        _cifar(32, "d509ac18"),
        _cifar(44, "014dd654"),
        _cifar(56, "4bfd9763"),
        *map(_digits, ("lenet5", "mobilenetv2", "resnet18", "vgg11")),
    )
}


def float_file(network: Network, folder: Path) -> Path:
    """The network's float file, exported into `folder` where it is not one already.

    Raises WeightsError where the package with its weights is not installed.
    """
    weights = network.weights
    if weights is not None and weights.suffix == ".onnx":
        return weights
    path = folder / f"{network.name}.onnx"
    if not path.exists():
        options = ExportOptions(weights=str(weights) if weights else None, images=4)
        export(network.zoo, output=path, options=options)
    return path


def images(network: Network, subset: str, folder: Path) -> Floats:
    """All images of a subset, preprocessed, (n, channels, height, width), mapped to memory."""
    path = folder / f"{network.name}-{subset}.npy"
    if not path.exists():
        spec = network.preprocess or read_contract(float_file(network, folder)).preprocess
        found = pictures(network.kind, subset)
        partial = path.with_suffix(".partial")
        shape = (len(found), spec.channels, *spec.size)
        stored = open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        for index, picture in enumerate(found):
            stored[index] = preprocess(picture.read(), spec)[0]
        stored.flush()
        partial.rename(path)
    mapped: Floats = np.load(path, mmap_mode="r")
    return mapped


def labels(network: Network, subset: str) -> NDArray[np.intp]:
    """The output that is right for each image of a subset."""
    found = pictures(network.kind, subset)
    return np.array([picture.label + network.first_class for picture in found])
