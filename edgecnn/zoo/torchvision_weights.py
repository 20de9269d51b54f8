"""The weights that torchvision publishes: files, preprocessing and accuracy, from its own metadata
(torchvision 0.29). The first set of each network is torchvision's default.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from edgecnn.contract import Preprocess
from edgecnn.zoo.spec import Published, WeightsSpec

_FOLDER = "https://download.pytorch.org/models/"
_SOURCE = "torchvision, ImageNet-1k validation"


class _Set(NamedTuple):
    tag: str
    file: str
    top1: float
    top5: float
    preprocess: Preprocess


def torchvision_weights(name: str) -> tuple[WeightsSpec, ...]:
    """The sets of the network of that name; none where torchvision has it not."""
    detector = _DETECTORS.get(name)
    if detector:
        return (_weights("v1", *detector, None),)
    return tuple(
        _weights(tag, file, recipe, Published(top1, top5, f"{_SOURCE}, IMAGENET1K_{tag.upper()}"))
        for tag, file, top1, top5, recipe in _SETS.get(name, ())
    )


def _weights(
    tag: str, file: str, preprocess: Preprocess, published: Published | None
) -> WeightsSpec:
    """A set; the first digits of the sha256 end its file name."""
    return WeightsSpec(
        tag=tag,
        file=file,
        url=_FOLDER + file,
        sha256_prefix=file.removesuffix(".pth").rpartition("-")[2],
        preprocess=preprocess,
        published=published,
    )


def _photo(resize: int, side: int = 224) -> Preprocess:
    """Short side to `resize`, the centre's square of `side`, ImageNet's mean and deviation."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Preprocess(size=(side, side), resize=resize, mean=mean, std=std)


def _bicubic(resize: int, side: int) -> Preprocess:
    return replace(_photo(resize, side), filter="bicubic")


def _google(resize: int, side: int) -> Preprocess:
    """To -1...1: the weights came from TensorFlow, and torchvision converts inside the network."""
    return replace(_photo(resize, side), mean=(0.5,) * 3, std=(0.5,) * 3)


def _squeezed(side: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Preprocess:
    """The whole image at the detector's size, whatever its shape, by plain interpolation."""
    return Preprocess(size=(side, side), antialias=False, mean=mean, std=std)


_DETECTORS = {
    # VGG's own normalization: pixels of 0...255 less the mean.
    "ssd300_vgg16": (
        "ssd300_vgg16_coco-b556d3b4.pth",
        _squeezed(300, mean=(0.48235, 0.45882, 0.40784), std=(1 / 255,) * 3),
    ),
    "ssdlite320_mobilenetv3": (
        "ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
        _squeezed(320, mean=(0.5,) * 3, std=(0.5,) * 3),
    ),
}

_SETS = {
    "alexnet": (_Set("v1", "alexnet-owt-7be5be79.pth", 56.522, 79.066, _photo(256)),),
    "vgg11": (_Set("v1", "vgg11-8a719046.pth", 69.02, 88.628, _photo(256)),),
    "vgg13": (_Set("v1", "vgg13-19584684.pth", 69.928, 89.246, _photo(256)),),
    "vgg16": (_Set("v1", "vgg16-397923af.pth", 71.592, 90.382, _photo(256)),),
    "vgg19": (_Set("v1", "vgg19-dcbb9e9d.pth", 72.376, 90.876, _photo(256)),),
    "vgg11_bn": (_Set("v1", "vgg11_bn-6002323d.pth", 70.37, 89.81, _photo(256)),),
    "vgg13_bn": (_Set("v1", "vgg13_bn-abd245e5.pth", 71.586, 90.374, _photo(256)),),
    "vgg16_bn": (_Set("v1", "vgg16_bn-6c64b313.pth", 73.36, 91.516, _photo(256)),),
    "vgg19_bn": (_Set("v1", "vgg19_bn-c79401a0.pth", 74.218, 91.842, _photo(256)),),
    "googlenet": (_Set("v1", "googlenet-1378be20.pth", 69.778, 89.53, _google(256, 224)),),
    "inception_v3": (
        _Set("v1", "inception_v3_google-0cc3c7bd.pth", 77.294, 93.45, _google(342, 299)),
    ),
    "resnet18": (_Set("v1", "resnet18-f37072fd.pth", 69.758, 89.078, _photo(256)),),
    "resnet34": (_Set("v1", "resnet34-b627a593.pth", 73.314, 91.42, _photo(256)),),
    "resnet50": (
        _Set("v2", "resnet50-11ad3fa6.pth", 80.858, 95.434, _photo(232)),
        _Set("v1", "resnet50-0676ba61.pth", 76.13, 92.862, _photo(256)),
    ),
    "resnet101": (
        _Set("v2", "resnet101-cd907fc2.pth", 81.886, 95.78, _photo(232)),
        _Set("v1", "resnet101-63fe2227.pth", 77.374, 93.546, _photo(256)),
    ),
    "resnet152": (
        _Set("v2", "resnet152-f82ba261.pth", 82.284, 96.002, _photo(232)),
        _Set("v1", "resnet152-394f9c45.pth", 78.312, 94.046, _photo(256)),
    ),
    "densenet121": (_Set("v1", "densenet121-a639ec97.pth", 74.434, 91.972, _photo(256)),),
    "densenet169": (_Set("v1", "densenet169-b2777c0a.pth", 75.6, 92.806, _photo(256)),),
    "densenet201": (_Set("v1", "densenet201-c1103571.pth", 76.896, 93.37, _photo(256)),),
    "squeezenet1_0": (_Set("v1", "squeezenet1_0-b66bff10.pth", 58.092, 80.42, _photo(256)),),
    "squeezenet1_1": (_Set("v1", "squeezenet1_1-b8a52dc0.pth", 58.178, 80.624, _photo(256)),),
    "mobilenetv2": (
        _Set("v2", "mobilenet_v2-7ebf99e0.pth", 72.154, 90.822, _photo(232)),
        _Set("v1", "mobilenet_v2-b0353104.pth", 71.878, 90.286, _photo(256)),
    ),
    "mobilenetv3_small": (
        _Set("v1", "mobilenet_v3_small-047dcff4.pth", 67.668, 87.402, _photo(256)),
    ),
    "mobilenetv3_large": (
        _Set("v2", "mobilenet_v3_large-5c1a4163.pth", 75.274, 92.566, _photo(232)),
        _Set("v1", "mobilenet_v3_large-8738ca79.pth", 74.042, 91.34, _photo(256)),
    ),
    "efficientnet_b0": (
        _Set("v1", "efficientnet_b0_rwightman-7f5810bc.pth", 77.692, 93.532, _bicubic(256, 224)),
    ),
    "efficientnet_b1": (
        _Set("v2", "efficientnet_b1-c27df63c.pth", 79.838, 94.934, _photo(255, 240)),
        _Set("v1", "efficientnet_b1_rwightman-bac287d4.pth", 78.642, 94.186, _bicubic(256, 240)),
    ),
    "efficientnet_b2": (
        _Set("v1", "efficientnet_b2_rwightman-c35c1473.pth", 80.608, 95.31, _bicubic(288, 288)),
    ),
    "efficientnet_b3": (
        _Set("v1", "efficientnet_b3_rwightman-b3899882.pth", 82.008, 96.054, _bicubic(320, 300)),
    ),
    "efficientnet_b4": (
        _Set("v1", "efficientnet_b4_rwightman-23ab8bcd.pth", 83.384, 96.594, _bicubic(384, 380)),
    ),
}
