"""AlexNet. Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
networks, NeurIPS 2012; in the single-tower form of Krizhevsky: One weird trick for parallelizing
convolutional neural networks, 2014, arXiv:1404.5997.

The idea: the same kind of network as LeNet, a thousand times larger, is enough for real photos:
ReLU trains several times faster than tanh, dropout keeps 60 million weights from learning by heart,
and two graphics cards are enough to train it.

Table of sizes, from 224x224:

    convolution 11x11, stride 4    64 x 55 x 55    pool 3x3, stride 2    64 x 27 x 27
    convolution 5x5               192 x 27 x 27    pool 3x3, stride 2   192 x 13 x 13
    convolution 3x3               384 x 13 x 13
    convolution 3x3               256 x 13 x 13
    convolution 3x3               256 x 13 x 13    pool 3x3, stride 2   256 x  6 x  6
    4096-4096-classes

The paper's two towers have 96-256-384-384-256 channels in all, half of them connected, and local
response normalization: 60 million parameters, as here (61.1). Parameter names are torchvision's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize

_MAP_SIDE = 6


class AlexNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); H and W at least 63."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(_MAP_SIDE)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(256 * _MAP_SIDE**2, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.features(images)
        # At the size the network was made for, the pool would only copy: keep it out of the export.
        if maps.shape[-2:] != (_MAP_SIDE, _MAP_SIDE):
            maps = self.avgpool(maps)
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


def alexnet(*, num_classes: int = 1000, in_channels: int = 3) -> AlexNet:
    """AlexNet in its single-tower form."""
    return AlexNet(num_classes=num_classes, in_channels=in_channels)
