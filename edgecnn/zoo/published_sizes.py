"""How big others say the networks are, to hold our counts against."""

from __future__ import annotations

from dataclasses import dataclass

_TORCHVISION = "torchvision"
_SLIM = "tensorflow/models, slim"
# Counts more than convolutions and linear layers: 3 to 6 % more than we do.
_LITE = "EfficientNet-Lite's README"


@dataclass(frozen=True, slots=True)
class PublishedSize:
    """Millions of parameters and of multiply-accumulates (None: not stated) as `source` has them.

    In inference form, at the resolution of the catalog unless the source says otherwise.
    """

    million_parameters: float
    million_macs: float | None
    source: str


PUBLISHED_SIZES = {
    "lenet5": PublishedSize(0.06, None, "the paper"),
    "alexnet": PublishedSize(61.100840, 714, _TORCHVISION),
    "vgg11": PublishedSize(132.863336, 7609, _TORCHVISION),
    "vgg11_lrn": PublishedSize(133, None, "the paper"),
    "vgg11_bn": PublishedSize(132.868840, 7609, _TORCHVISION),
    "vgg13": PublishedSize(133.047848, 11308, _TORCHVISION),
    "vgg13_bn": PublishedSize(133.053736, 11308, _TORCHVISION),
    "vgg16_c": PublishedSize(134, None, "the paper"),
    "vgg16": PublishedSize(138.357544, 15470, _TORCHVISION),
    "vgg16_bn": PublishedSize(138.365992, 15470, _TORCHVISION),
    "vgg19": PublishedSize(143.667240, 19632, _TORCHVISION),
    "vgg19_bn": PublishedSize(143.678248, 19632, _TORCHVISION),
    "googlenet": PublishedSize(6.624904, 1498, _TORCHVISION),
    "inception_v3": PublishedSize(23.8, 5713, "Keras, torchvision"),
    "resnet18": PublishedSize(11.689512, 1814, _TORCHVISION),
    "resnet34": PublishedSize(21.797672, 3664, _TORCHVISION),
    "resnet50": PublishedSize(25.557032, 4089, _TORCHVISION),
    "resnet101": PublishedSize(44.549160, 7801, _TORCHVISION),
    "resnet152": PublishedSize(60.192808, 11514, _TORCHVISION),
    "resnet20": PublishedSize(0.27, None, "the paper"),
    "resnet32": PublishedSize(0.46, None, "the paper"),
    "resnet44": PublishedSize(0.66, None, "the paper"),
    "resnet56": PublishedSize(0.85, None, "the paper"),
    "densenet121": PublishedSize(7.978856, 2834, _TORCHVISION),
    "densenet169": PublishedSize(14.149480, 3360, _TORCHVISION),
    "densenet201": PublishedSize(20.013928, 4291, _TORCHVISION),
    # The layers that its paper describes have fewer; its paper states no number.
    "fractalnet": PublishedSize(38.6, None, "DenseNet's paper"),
    "xception": PublishedSize(22.855952, None, "the paper"),
    "squeezenet1_0": PublishedSize(1.248424, 819, _TORCHVISION),
    "squeezenet1_1": PublishedSize(1.235496, 349, _TORCHVISION),
    "mobilenetv1": PublishedSize(4.2, 569, "the paper"),
    "mobilenetv1_0.25": PublishedSize(0.5, 41, "the paper"),
    "mobilenetv2": PublishedSize(3.504872, 301, _TORCHVISION),
    "mobilenetv2_0.35": PublishedSize(1.66, 59, _SLIM),
    "mobilenetv3_small": PublishedSize(2.542856, 57, _TORCHVISION),
    "mobilenetv3_large": PublishedSize(5.483032, 217, _TORCHVISION),
    "efficientnet_b0": PublishedSize(5.288548, 386, _TORCHVISION),
    "efficientnet_b1": PublishedSize(7.794184, 687, _TORCHVISION),
    "efficientnet_b2": PublishedSize(9.109994, 1088, _TORCHVISION),
    "efficientnet_b3": PublishedSize(12.233232, 1827, _TORCHVISION),
    "efficientnet_b4": PublishedSize(19.341616, 4394, _TORCHVISION),
    "efficientnet_lite0": PublishedSize(4.7, 407, _LITE),
    "efficientnet_lite1": PublishedSize(5.4, 631, _LITE),
    "efficientnet_lite2": PublishedSize(6.1, 899, _LITE),
    "efficientnet_lite3": PublishedSize(8.2, 1440, _LITE),
    "efficientnet_lite4": PublishedSize(13.0, 2640, _LITE),
    "ssd300_vgg16": PublishedSize(35.641826, 34858, _TORCHVISION),
    "ssdlite320_mobilenetv3": PublishedSize(3.44006, 583, _TORCHVISION),
}
