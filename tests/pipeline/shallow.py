"""Networks of the zoo with fewer layers or values: a width alone would not make them quick."""

from __future__ import annotations

from functools import partial

from torch import nn

from edgecnn.zoo.alexnet import AlexNet
from edgecnn.zoo.densenet import DenseNet

densenet = partial(DenseNet, (2, 2, 2, 2))


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
