"""Xception. Chollet: Xception: deep learning with depthwise separable convolutions, CVPR 2017,
arXiv:1610.02357.

The idea: take Inception's thought to its end. Channels and places can be mixed apart from each
other: a 3x3 on each channel alone, then a 1x1 across the channels, and nothing else.

Table of sizes (the paper's figure 5), from 299x299; "sep" is such a separable 3x3:

    entry   3x3 stride 2 -> 32, 3x3 -> 64, unpadded               147
            sep 128, sep 128, pool; beside a 1x1 stride 2          74
            sep 256, sep 256, pool; beside a 1x1 stride 2          37
            sep 728, sep 728, pool; beside a 1x1 stride 2          19
    middle  eight times: sep 728, sep 728, sep 728; beside it      19
    exit    sep 728, sep 1024, pool; beside a 1x1 stride 2         10
            sep 1536, sep 2048                                     10
    global average, dropout 0.5, classes

The batch norms' constants are those of Keras, where the paper's author published the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize, set_norms

_MIDDLE_BLOCKS = 8
_DROPOUT = 0.5  # the paper's section 4.3, for ImageNet
_BN_EPSILON = 1e-3
_BN_MOMENTUM = 0.01  # Keras's 0.99 is the share that stays


class SeparableConv(nn.Sequential):
    """3x3 on each channel alone, 1x1 across the channels, batch norm; no ReLU between them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class Block(nn.Module):
    """Separable convolutions, each behind a ReLU, beside a shortcut.

    `strided` ends them with a pool of stride 2; `bare` leaves out the first ReLU.
    """

    def __init__(
        self, channels: tuple[int, ...], *, strided: bool = False, bare: bool = False
    ) -> None:
        super().__init__()
        layers = tuple(_layers(channels))
        pool = (nn.MaxPool2d(3, stride=2, padding=1),) if strided else ()
        self.residual = nn.Sequential(*layers[bare:], *pool)
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(channels[0], channels[-1], 1, stride=2, bias=False),
                nn.BatchNorm2d(channels[-1]),
            )
            if strided
            else nn.Identity()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, channels[0], H, W) to (N, channels[-1], H, W), sides halved if strided."""
        result: Tensor = self.shortcut(maps) + self.residual(maps)
        return result


def _layers(channels: tuple[int, ...]) -> Iterator[nn.Module]:
    for before, after in pairwise(channels):
        yield nn.ReLU()
        yield SeparableConv(before, after)


class Xception(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, stride=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.entry = nn.Sequential(
            Block((64, 128, 128), strided=True, bare=True),
            Block((128, 256, 256), strided=True),
            Block((256, 728, 728), strided=True),
        )
        self.middle = nn.Sequential(*(Block((728,) * 4) for _ in range(_MIDDLE_BLOCKS)))
        self.exit = nn.Sequential(
            Block((728, 728, 1024), strided=True),
            SeparableConv(1024, 1536),
            nn.ReLU(),
            SeparableConv(1536, 2048),
            nn.ReLU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(_DROPOUT)
        self.fc = nn.Linear(2048, num_classes)
        set_norms(self, epsilon=_BN_EPSILON, momentum=_BN_MOMENTUM)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.exit(self.middle(self.entry(self.stem(images))))
        logits: Tensor = self.fc(self.dropout(torch.flatten(self.avgpool(maps), 1)))
        return logits


def xception(*, num_classes: int = 1000, in_channels: int = 3) -> Xception:
    """Xception for 299x299 images."""
    return Xception(num_classes=num_classes, in_channels=in_channels)
