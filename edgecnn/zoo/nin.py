"""Network in Network. Lin, Chen, Yan: Network in network, ICLR 2014, arXiv:1312.4400.

The idea: slide a small perceptron over the image instead of a linear filter, which is a convolution
followed by 1x1 convolutions; then each class can have a map of its own, and its average is the
answer: no linear layers, which were most of the parameters until then.

Table of sizes: each block is a convolution and two 1x1 convolutions, pooled 3x3 with stride 2.

    ImageNet, from 224x224 (the authors' network)   CIFAR-10, from 32x32 (the paper's)
    11x11 stride 4   96,   96,    96   max           5x5  192, 160,  96      max
     5x5            256,  256,   256   max           5x5  192, 192, 192      average
     3x3            384,  384,   384   max           3x3  192, 192, classes  global average
     3x3           1024, 1024, classes  global average

The paper trains on small images only; its authors published the ImageNet network with their code.
`small_input` is the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize


def _mlpconv(
    in_channels: int, channels: tuple[int, int, int], kernel: int, *, stride: int = 1
) -> Iterator[nn.Module]:
    """A convolution whose filters are perceptrons of three layers."""
    # Only the first layer of the network is strided, and it alone does not pad.
    padding = kernel // 2 if stride == 1 else 0
    yield nn.Conv2d(in_channels, channels[0], kernel, stride, padding)
    yield nn.ReLU()
    for before, after in pairwise(channels):
        yield nn.Conv2d(before, after, 1)
        yield nn.ReLU()


def _imagenet(in_channels: int, num_classes: int) -> tuple[nn.Module, ...]:
    return (
        *_mlpconv(in_channels, (96, 96, 96), 11, stride=4),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        *_mlpconv(96, (256, 256, 256), 5),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        *_mlpconv(256, (384, 384, 384), 3),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Dropout(0.5),
        *_mlpconv(384, (1024, 1024, num_classes), 3),
    )


def _cifar(in_channels: int, num_classes: int) -> tuple[nn.Module, ...]:
    return (
        *_mlpconv(in_channels, (192, 160, 96), 5),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Dropout(0.5),
        *_mlpconv(96, (192, 192, 192), 5),
        nn.AvgPool2d(3, stride=2, ceil_mode=True),
        nn.Dropout(0.5),
        *_mlpconv(192, (192, 192, num_classes), 3),
    )


class NetworkInNetwork(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(self, *, num_classes: int, in_channels: int, small_input: bool) -> None:
        super().__init__()
        layers = _cifar if small_input else _imagenet
        self.features = nn.Sequential(*layers(in_channels, num_classes)[:-1])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        # The authors' networks end in a ReLU before the average; logits may be negative here.
        return torch.flatten(self.avgpool(self.features(images)), 1)


def nin(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False
) -> NetworkInNetwork:
    """Network in Network; `small_input` for images of 32x32."""
    return NetworkInNetwork(
        num_classes=num_classes, in_channels=in_channels, small_input=small_input
    )
