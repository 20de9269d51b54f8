"""Networks of the zoo with fewer layers or values: a width alone would not make them quick."""

from __future__ import annotations

from functools import partial

from torch import nn

from edgecnn.zoo.alexnet import AlexNet
from edgecnn.zoo.densenet import DenseNet
from edgecnn.zoo.efficientnet import EfficientNet
from edgecnn.zoo.efficientnet_lite import EfficientNetLite
from edgecnn.zoo.fractalnet import FractalNet
from edgecnn.zoo.googlenet import GoogLeNet
from edgecnn.zoo.googlenet import googlenet as zoo_googlenet
from edgecnn.zoo.mobilenetv3 import MobileNetV3, mobilenetv3_small
from edgecnn.zoo.xception import Block, SeparableConv, Xception

densenet = partial(DenseNet, (2, 2, 2, 2))
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
    """GoogLeNet of half the width with six blocks of nine, without its auxiliary heads."""
    whole = zoo_googlenet(
        num_classes=num_classes, width=0.5, in_channels=in_channels, auxiliary=False
    )
    for name in ("4b", "4c", "5a"):  # which give as many channels as they take
        whole.add_module(f"inception{name}", nn.Identity())
    return whole


def fractalnet(*, num_classes: int = 1000, in_channels: int = 3) -> FractalNet:
    """The first two blocks of five."""
    network = FractalNet(num_classes=num_classes, in_channels=in_channels)
    network.blocks = network.blocks[:2]
    network.fc = nn.Linear(128, num_classes)
    return network


def alexnet(*, num_classes: int = 1000, in_channels: int = 3) -> AlexNet:
    """AlexNet with 256 values in its inner linear layers, not 4,096."""
    network = AlexNet(num_classes=num_classes, in_channels=in_channels)
    for index, layer in enumerate(network.classifier):
        if isinstance(layer, nn.Linear):
            inputs, outputs = (min(size, 256) for size in (layer.in_features, layer.out_features))
            inputs = layer.in_features if index == 1 else inputs
            outputs = num_classes if index == len(network.classifier) - 1 else outputs
            network.classifier[index] = nn.Linear(inputs, outputs)
    return network
