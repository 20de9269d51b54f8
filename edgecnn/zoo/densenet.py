"""DenseNet. Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks, CVPR
2017, arXiv:1608.06993.

The idea: give each layer the maps of all layers before it. Nothing has to be learned twice, so a
layer needs to add only a few maps (the growth, 32) of its own.

Table of sizes (the paper's table 1), layers in each dense block, from 224x224:

    block        stem (64, 112)  1 (56)  2 (28)  3 (14)  4 (7)  channels at the end
    densenet121  7x7, pool       6       12      24      16     1024
    densenet169  7x7, pool       6       12      32      32     1664
    densenet201  7x7, pool       6       12      48      32     1920

A layer is 1x1 -> 128, 3x3 -> 32, each behind its batch norm and ReLU; between blocks a 1x1 halves
the channels and an average pool the sides. Parameter names are torchvision's.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize

_GROWTH = 32
_BOTTLENECK = 4 * _GROWTH
_STEM_CHANNELS = 64


class DenseLayer(nn.Module):
    """The maps that one layer adds to those it is given."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, _BOTTLENECK, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_BOTTLENECK)
        self.conv2 = nn.Conv2d(_BOTTLENECK, _GROWTH, 3, padding=1, bias=False)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, growth, H, W)."""
        maps = self.conv1(self.relu(self.norm1(maps)))
        added: Tensor = self.conv2(self.relu(self.norm2(maps)))
        return added


class DenseBlock(nn.Module):
    """Layers that each see the block's input and the maps of all layers before them."""

    def __init__(self, in_channels: int, layers: int) -> None:
        super().__init__()
        for index in range(layers):
            self.add_module(f"denselayer{index + 1}", DenseLayer(in_channels + index * _GROWTH))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, in_channels + layers * growth, H, W)."""
        seen = [maps]
        for layer in self.children():
            seen.append(layer(torch.cat(seen, 1)))
        return torch.cat(seen, 1)


class Transition(nn.Sequential):
    """Half the channels and half the sides."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.add_module("norm", nn.BatchNorm2d(in_channels))
        self.add_module("relu", nn.ReLU())
        self.add_module("conv", nn.Conv2d(in_channels, in_channels // 2, 1, bias=False))
        self.add_module("pool", nn.AvgPool2d(2))


class DenseNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(
        self, blocks: tuple[int, ...], *, num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        super().__init__()
        channels = _STEM_CHANNELS
        self.features = nn.Sequential()
        self.features.add_module(
            "conv0", nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)
        )
        self.features.add_module("norm0", nn.BatchNorm2d(channels))
        self.features.add_module("relu0", nn.ReLU())
        self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        for index, layers in enumerate(blocks, 1):
            self.features.add_module(f"denseblock{index}", DenseBlock(channels, layers))
            channels += layers * _GROWTH
            if index < len(blocks):
                self.features.add_module(f"transition{index}", Transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.avgpool(self.relu(self.features(images)))
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


densenet121 = partial(DenseNet, (6, 12, 24, 16))
densenet169 = partial(DenseNet, (6, 12, 32, 32))
densenet201 = partial(DenseNet, (6, 12, 48, 32))
