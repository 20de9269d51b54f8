"""Networks of the zoo with fewer layers or values: a width alone would not make them quick."""

from __future__ import annotations

from functools import partial

from torch import nn

from edgecnn.zoo.alexnet import AlexNet
from edgecnn.zoo.densenet import DenseNet
from edgecnn.zoo.efficientnet import EfficientNet
from edgecnn.zoo.efficientnet_lite import EfficientNetLite
from edgecnn.zoo.fractalnet import FractalNet
from edgecnn.zoo.googlenet import GoogLeNet, Inception
from edgecnn.zoo.googlenet import googlenet as zoo_googlenet
from edgecnn.zoo.mobilenetv3 import MobileNetV3, mobilenetv3_small
from edgecnn.zoo.xception import Block, SeparableConv, Xception

densenet = partial(DenseNet, (2, 2, 1, 1))
efficientnet = partial(EfficientNet, 0.5, 0.3, dropout=0.2)
efficientnet_lite = partial(EfficientNetLite, 0.5, 0.3, dropout=0.2)
mobilenetv3 = partial(MobileNetV3, mobilenetv3_small.args[0][::3], 256)


def xception(*, num_classes: int = 1000, in_channels: int = 3) -> Xception:
    """Xception with two entry blocks of three, one middle block of eight and a narrow end."""
    network = Xception(num_classes=num_classes, in_channels=in_channels)
    network.entry = nn.Sequential(network.entry[0], network.entry[1])
    network.middle = nn.Sequential(Block((256,) * 4))
    network.exit = nn.Sequential(
        Block((256, 256, 320), strided=True), SeparableConv(320, 384), nn.ReLU()
    )
    network.fc = nn.Linear(384, num_classes)
    return network


def googlenet(*, num_classes: int = 1000, in_channels: int = 3) -> GoogLeNet:
    """GoogLeNet with three blocks of nine, narrow, without its auxiliary heads."""
    whole = zoo_googlenet(
        num_classes=num_classes, width=0.5, in_channels=in_channels, auxiliary=False
    )
    channels = 128  # after the first block
    for name in ("4a", "5b"):
        block = Inception(channels, 32, (16, 48), (8, 16), 16)
        whole.add_module(f"inception{name}", block)
        channels = block.out_channels
    for name in ("3b", "4b", "4c", "4d", "4e", "5a"):
        whole.add_module(f"inception{name}", nn.Identity())
    whole.fc = nn.Linear(channels, num_classes)
    return whole


def fractalnet(*, num_classes: int = 1000, in_channels: int = 3) -> FractalNet:
    """The first block of five."""
    network = FractalNet(num_classes=num_classes, in_channels=in_channels)
    network.blocks = network.blocks[:1]
    network.fc = nn.Linear(64, num_classes)
    return network


def alexnet(*, num_classes: int = 1000, in_channels: int = 3) -> AlexNet:
    """AlexNet with 256 values in its linear layers, not 4,096, and from one place, not from 36."""
    network = AlexNet(num_classes=num_classes, in_channels=in_channels)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    linear = [i for i, layer in enumerate(network.classifier) if isinstance(layer, nn.Linear)]
    for index in linear:
        network.classifier[index] = nn.Linear(256, num_classes if index == linear[-1] else 256)
    return network
