"""The whole way of a network of the zoo: exported, checked, quantized, run and built.

Two files take the networks along it, so that two workers share them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.datasets.natural import natural_images
from edgecnn.graph.saturation import local_target
from edgecnn.graph.stem import left_in_float
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.export import ExportOptions, ExportResult, export_network
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.pipeline.sources import Network
from edgecnn.runtime import load
from edgecnn.zoo import ModelSpec, find, names
from edgecnn.zoo.randomize import random_network
from tests.graph.zoo_graph import check_graph
from tests.pipeline.building import check_builds

SIDE = 64
ALL = [name for name in names() if find(name).task != "detection"]
# The least that some can take: their last maps would be smaller than the kernels over them, and
# VGG's pool would widen its maps.
LEAST = {
    **dict.fromkeys((name for name in ALL if find(name).family == "VGG"), 224),
    "inception_v3": 75,
    "unet": 188,
}
# Large families, made narrower or shallower.
SMALLER: dict[str, dict[str, Any]] = {
    "alexnet": {"builder": "tests.pipeline.shallow:alexnet"},
    "densenet121": {"builder": "tests.pipeline.shallow:densenet"},
    "efficientnet_b0": {"builder": "tests.pipeline.shallow:efficientnet"},
    "efficientnet_lite0": {"builder": "tests.pipeline.shallow:efficientnet_lite"},
    "fractalnet": {"builder": "tests.pipeline.shallow:fractalnet"},
    "googlenet": {"builder": "tests.pipeline.shallow:googlenet"},
    "mobilenetv3_small": {"builder": "tests.pipeline.shallow:mobilenetv3"},
    "xception": {"builder": "tests.pipeline.shallow:xception"},
    "unet": {"width": 0.125},
    "vgg11": {"width": 0.125},
    "resnet18": {"width": 0.25},
    "mobilenetv1": {"width": 0.25},
    "mobilenetv2": {"width": 0.35},
}


def one_of_each() -> dict[str, dict[str, Any]]:
    """Of every family the first network, or the one that is made smaller; and its changes."""
    families: dict[str, str] = {}
    for name in sorted(ALL, key=lambda name: name not in SMALLER):
        families.setdefault(find(name).family, name)
    return {name: SMALLER.get(name, {}) for name in families.values()}


ONE_OF_EACH = one_of_each()
# Half a gigabyte of weights shows no more than a few of them; `make zoo` takes them as they are.
NARROW: dict[str, dict[str, Any]] = {"AlexNet": SMALLER["alexnet"], "VGG": {"width": 0.25}}
# Networks whose convolutions see all channels, and those with depthwise ones.
DEPTHWISE = (
    *("Xception", "MobileNetV1", "MobileNetV2", "MobileNetV3"),
    *("EfficientNet", "EfficientNet-Lite"),
)


def cases(*, depthwise: bool) -> list[Any]:
    """One network of each of these families, and the others, which are slow."""
    chosen = [name for name in ALL if (find(name).family in DEPTHWISE) == depthwise]
    return [
        *(
            pytest.param(replace(find(name), **changes), id=f"{name} small" if changes else name)
            for name, changes in ONE_OF_EACH.items()
            if name in chosen
        ),
        *(
            pytest.param(
                replace(find(name), **NARROW.get(find(name).family, {})),
                id=name,
                marks=pytest.mark.slow,
            )
            for name in chosen
            if ONE_OF_EACH.get(name) != {}
        ),
    ]


# ONNX Runtime has no transposed convolution on integers.
FLOAT = {"unet": 4}


def network_of(spec: ModelSpec) -> Network:
    """The network with random weights."""
    return Network(
        name=spec.name,
        title=spec.title,
        module=random_network(spec, seed=0),
        preprocess=spec.preprocess,
        labels=(),
        weights={"source": "random"},
    )


def exported(network: Network, target: Path) -> ExportResult:
    """The network as a file, for small images."""
    side = min(LEAST.get(network.name, SIDE), *network.preprocess.size)
    options = ExportOptions(images=2, contract=ContractOptions(size=(side, side)))
    return export_network(network, target, options=options)


def goes_all_the_way(spec: ModelSpec, pictures: Path, folder: Path) -> None:
    """Assert what holds for each network at each stop; TensorRT-RTX's builder is the last."""
    network = network_of(spec)
    fp32 = exported(network, folder / "fp32.onnx")
    assert fp32.exported.parity.rel < 5e-5
    check_graph(spec.name, network.module, fp32.exported)

    images = find_calibration(str(pictures), limit=16)
    options = QuantizeOptions(effort="fast", method="minmax")
    int8 = quantize(fp32.path, images, options=options)
    stem = left_in_float(int8.quantized.model, local_target())
    assert len(int8.quantized.float_layers) == FLOAT.get(spec.name, 0) + (stem is not None)
    assert int8.path.stat().st_size < 0.4 * fp32.path.stat().st_size

    (image,) = natural_images(1, height=80, width=96, seed=3)
    for path in (fp32.path, int8.path):
        with load(path, threads=1) as model:
            assert model.verify().passed
            if spec.task == "classification":
                assert len(model.classify(image)) == 5
    check_builds(fp32.path, pictures)
