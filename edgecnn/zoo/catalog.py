"""Every network of the zoo by name, one line each; `spec` says what is known of one.

Importing this module imports no PyTorch: a network's code is loaded when it is built.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.zoo.multipliers import parse, scale
from edgecnn.zoo.other_weights import (
    CIFAR_PREPROCESS,
    cifar_weights,
    lite_preprocess,
    lite_weights,
)
from edgecnn.zoo.published_accuracy import published_accuracy
from edgecnn.zoo.spec import ModelSpec, Published, WeightsSpec
from edgecnn.zoo.torchvision_weights import torchvision_weights

__all__ = ["ModelSpec", "Published", "WeightsSpec", "find", "names"]


def names() -> tuple[str, ...]:
    """The names of all networks, family by family."""
    return tuple(spec.name for spec in _SPECS)


def find(name: str) -> ModelSpec:
    """The network of that name, however it is spelled: MobileNet-V2, mobilenet_v2, mobilenetv2.

    A width and a side of the images may follow a MobileNet's: mobilenetv1_0.5_160.
    Raises UsageError with the nearest known name.
    """
    plain = _plain(name)
    found = _named(name, plain)
    if found is not None and not (found.name.startswith(_SCALABLE) and _SIGN.search(name)):
        return found
    near = difflib.get_close_matches(plain, names(), n=1, cutoff=0.5)
    advice = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"there is no model named {name!r}", hint=f"{advice}edgecnn models lists them all"
    )


def _named(name: str, plain: str) -> ModelSpec | None:
    for spec in _SPECS:
        if plain in {_plain(spec.name), *_ALIASES.get(spec.name, ())}:
            return spec
    scaled = (parse(spec, name) for spec in _SPECS if spec.name in _SCALABLE)
    return next((spec for spec in scaled if spec is not None), None)


def _plain(name: str) -> str:
    """A name as people mean it: no case, no separators."""
    return re.sub(r"[\s._-]+", "", name).casefold()


# Before a width, a dash behind another separator is a minus: mobilenetv1_-1.0.
_SIGN = re.compile(r"[\s._-]-\.?\d")

# Names that differ by more than case and separators.
_ALIASES = {
    "lenet5": ("lenet",),
    "nin": ("networkinnetwork",),
    "vgg11": ("vgga",),
    "vgg11_lrn": ("vggalrn",),
    "vgg11_bn": ("vggabn",),
    "vgg13": ("vggb",),
    "vgg13_bn": ("vggbbn",),
    "vgg16_c": ("vggc",),
    "vgg16": ("vggd",),
    "vgg16_bn": ("vggdbn",),
    "vgg19": ("vgge",),
    "vgg19_bn": ("vggebn",),
    "plain34": ("resnet34plain", "plainnet34"),
    **{
        f"resnet{depth}": (f"cifarresnet{depth}", f"resnet{depth}cifar", f"resnet{depth}cifar10")
        for depth in (20, 32, 44, 56)
    },
    "googlenet": ("inceptionv1",),
    "inception_v3": ("inception3",),
    "mobilenetv1": ("mobilenetv110", "mobilenet1", "mobilenet"),
    "mobilenetv2": ("mobilenetv210", "mobilenet2"),
    "mobilenetv3_small": ("mobilenet3small", "mobilenetv3s"),
    "mobilenetv3_large": ("mobilenet3large", "mobilenetv3l", "mobilenetv3"),
    "efficientnet_lite0": ("efficientnetlite", "efflite0"),
    "ssd300_vgg16": ("ssd300", "ssdvgg16", "ssd"),
    "ssdlite320_mobilenetv3": (
        *("ssdlite320mobilenetv3large", "ssdlitemobilenetv3", "ssdlitemobilenetv3large"),
        *("ssdlite320", "ssdlite"),
    ),
}

# Networks whose names may carry a width and a side.
_SCALABLE = ("mobilenetv1", "mobilenetv2")

_PHOTO = Preprocess(
    size=(224, 224), resize=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
# The paper maps background to -0.1 and ink to 1.175 (section II.D), so that the mean is about 0.
_DIGIT = Preprocess(size=(32, 32), color="GRAY", mean=(0.1 / 1.275,), std=(1 / 1.275,))
_CELLS = Preprocess(size=(572, 572), color="GRAY", mean=(0.5,), std=(0.5,))
_XCEPTION = Preprocess(size=(299, 299), resize=342, mean=(0.5,) * 3, std=(0.5,) * 3)
_V1 = Preprocess(
    size=(224, 224), crop_fraction=0.875, scale=1.0, mean=(127.5,) * 3, std=(127.5,) * 3
)


def _imagenet(
    name: str, family: str, title: str, module: str, preprocess: Preprocess = _PHOTO
) -> ModelSpec:
    """A network with ImageNet's classes, and the preprocessing of its weights where it has some."""
    weights = torchvision_weights(name)
    return ModelSpec(
        name=name,
        family=family,
        title=title,
        builder=f"edgecnn.zoo.{module}:{name}",
        preprocess=weights[0].preprocess if weights else preprocess,
        labels="imagenet1k",
        weights=weights,
        published=None if weights else published_accuracy(name),
    )


def _cifar(name: str, family: str, title: str, module: str) -> ModelSpec:
    """A network for 32x32 photos with CIFAR-10's classes."""
    spec = _imagenet(name, family, title, module, CIFAR_PREPROCESS)
    return replace(spec, labels="cifar10", weights=cifar_weights(name))


def _lite(name: str, title: str, side: int) -> ModelSpec:
    recipe = lite_preprocess(side)
    spec = _imagenet(name, "EfficientNet-Lite", title, "efficientnet_lite", recipe)
    return replace(spec, weights=lite_weights(name, side))


def _detector(name: str, title: str) -> ModelSpec:
    """A detector with COCO's classes."""
    return replace(_imagenet(name, "SSD", title, "ssd"), task="detection", labels="coco91")


def _multiplied(spec: ModelSpec) -> tuple[ModelSpec, ModelSpec]:
    """A MobileNet, and the narrow one of it that small devices run."""
    narrow = {"mobilenetv1": 0.25, "mobilenetv2": 0.35}[spec.name]
    return spec, scale(spec, width=narrow, side=spec.preprocess.size[0])


_SPECS = (
    ModelSpec("lenet5", "LeNet", "LeNet-5", "edgecnn.zoo.lenet:lenet5", _DIGIT, "digits"),
    _imagenet("alexnet", "AlexNet", "AlexNet", "alexnet"),
    _imagenet("nin", "NIN", "Network in Network", "nin"),
    _imagenet("vgg11", "VGG", "VGG-11", "vgg"),
    _imagenet("vgg11_lrn", "VGG", "VGG-11 LRN", "vgg"),
    _imagenet("vgg11_bn", "VGG", "VGG-11 BN", "vgg"),
    _imagenet("vgg13", "VGG", "VGG-13", "vgg"),
    _imagenet("vgg13_bn", "VGG", "VGG-13 BN", "vgg"),
    _imagenet("vgg16_c", "VGG", "VGG-16 C", "vgg"),
    _imagenet("vgg16", "VGG", "VGG-16", "vgg"),
    _imagenet("vgg16_bn", "VGG", "VGG-16 BN", "vgg"),
    _imagenet("vgg19", "VGG", "VGG-19", "vgg"),
    _imagenet("vgg19_bn", "VGG", "VGG-19 BN", "vgg"),
    _imagenet("googlenet", "Inception", "GoogLeNet", "googlenet"),
    _imagenet("inception_v3", "Inception", "Inception V3", "inception_v3"),
    _imagenet("resnet18", "ResNet", "ResNet-18", "resnet"),
    _imagenet("resnet34", "ResNet", "ResNet-34", "resnet"),
    _imagenet("plain34", "ResNet", "Plain-34", "resnet"),
    _imagenet("resnet50", "ResNet", "ResNet-50", "resnet"),
    _imagenet("resnet101", "ResNet", "ResNet-101", "resnet"),
    _imagenet("resnet152", "ResNet", "ResNet-152", "resnet"),
    _cifar("resnet20", "ResNet (CIFAR)", "ResNet-20", "resnet_cifar"),
    _cifar("resnet32", "ResNet (CIFAR)", "ResNet-32", "resnet_cifar"),
    _cifar("resnet44", "ResNet (CIFAR)", "ResNet-44", "resnet_cifar"),
    _cifar("resnet56", "ResNet (CIFAR)", "ResNet-56", "resnet_cifar"),
    _imagenet("densenet121", "DenseNet", "DenseNet-121", "densenet"),
    _imagenet("densenet169", "DenseNet", "DenseNet-169", "densenet"),
    _imagenet("densenet201", "DenseNet", "DenseNet-201", "densenet"),
    _cifar("fractalnet", "FractalNet", "FractalNet", "fractalnet"),
    _imagenet("xception", "Xception", "Xception", "xception", _XCEPTION),
    _imagenet("squeezenet1_0", "SqueezeNet", "SqueezeNet 1.0", "squeezenet"),
    _imagenet("squeezenet1_1", "SqueezeNet", "SqueezeNet 1.1", "squeezenet"),
    *_multiplied(_imagenet("mobilenetv1", "MobileNetV1", "MobileNetV1 1.0", "mobilenetv1", _V1)),
    *_multiplied(_imagenet("mobilenetv2", "MobileNetV2", "MobileNetV2 1.0", "mobilenetv2")),
    _imagenet("mobilenetv3_small", "MobileNetV3", "MobileNetV3 Small", "mobilenetv3"),
    _imagenet("mobilenetv3_large", "MobileNetV3", "MobileNetV3 Large", "mobilenetv3"),
    _imagenet("efficientnet_b0", "EfficientNet", "EfficientNet-B0", "efficientnet"),
    _imagenet("efficientnet_b1", "EfficientNet", "EfficientNet-B1", "efficientnet"),
    _imagenet("efficientnet_b2", "EfficientNet", "EfficientNet-B2", "efficientnet"),
    _imagenet("efficientnet_b3", "EfficientNet", "EfficientNet-B3", "efficientnet"),
    _imagenet("efficientnet_b4", "EfficientNet", "EfficientNet-B4", "efficientnet"),
    _lite("efficientnet_lite0", "EfficientNet-Lite0", 224),
    _lite("efficientnet_lite1", "EfficientNet-Lite1", 240),
    _lite("efficientnet_lite2", "EfficientNet-Lite2", 260),
    _lite("efficientnet_lite3", "EfficientNet-Lite3", 280),
    _lite("efficientnet_lite4", "EfficientNet-Lite4", 300),
    ModelSpec(
        "unet", "U-Net", "U-Net", "edgecnn.zoo.unet:unet", _CELLS, "cells", task="segmentation"
    ),
    _detector("ssd300_vgg16", "SSD300 VGG16"),
    _detector("ssdlite320_mobilenetv3", "SSDLite320 MobileNetV3"),
)
