"""LeNet-5. LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document
recognition, Proceedings of the IEEE 86(11), 1998.

The idea: learn the feature extractor too. Convolutions share their weights over the image,
subsampling makes the features tolerant of small shifts, and one gradient trains the whole.

Table of sizes (the paper's figure 2), from a grey image of 32x32:

    C1 convolution 5x5    6 x 28 x 28        S2 subsampling 2x2    6 x 14 x 14
    C3 convolution 5x5   16 x 10 x 10        S4 subsampling 2x2   16 x  5 x  5
    C5 convolution 5x5  120 x  1 x  1        F6 linear            84
    output linear       10

The layers' shapes are the paper's; what is inside them is today's: ReLU for the scaled tanh, max
pooling for the trained average, every map of S2 connected to every map of C3 (the paper connects
60 of 96 pairs), and linear outputs for the radial basis functions: 61,706 parameters to its 60,000.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize


class LeNet(nn.Module):
    """Images (N, in_channels, 32, 32) to logits (N, num_classes)."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, 6, 5)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)
        self.relu = nn.ReLU()
        self.subsample = nn.MaxPool2d(2)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.subsample(self.relu(self.c1(images)))
        maps = self.subsample(self.relu(self.c3(maps)))
        features = torch.flatten(self.relu(self.c5(maps)), 1)
        logits: Tensor = self.output(self.relu(self.f6(features)))
        return logits


def lenet5(*, num_classes: int = 10, in_channels: int = 1) -> LeNet:
    """LeNet-5 for 32x32 images."""
    return LeNet(num_classes=num_classes, in_channels=in_channels)
