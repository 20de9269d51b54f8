"""SqueezeNet. Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer: SqueezeNet: AlexNet-level accuracy
with 50x fewer parameters and <0.5MB model size, 2016, arXiv:1602.07360.

The idea: squeeze the maps to few channels with 1x1 convolutions before the 3x3 see them, make half
of those 3x3 1x1 as well, and pool late, so that few weights work on large maps.

Table of sizes (the paper's table 1), from 224x224; a fire module is written squeeze -> expanded:

    squeezenet1_0                       squeezenet1_1 (the authors' later one, 2.4 times less work)
    7x7 stride 2 -> 96, pool    54      3x3 stride 2 -> 64, pool    55
    fire 16 -> 128  twice               fire 16 -> 128  twice, pool 27
    fire 32 -> 256, pool        27      fire 32 -> 256  twice, pool 13
    fire 32 -> 256                      fire 48 -> 384  twice
    fire 48 -> 384  twice               fire 64 -> 512  twice
    fire 64 -> 512, pool        13
    fire 64 -> 512
    1x1 -> classes, global average      1x1 -> classes, global average

Parameter names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize

# Squeezed channels of each fire module (which expands eightfold); 0 is a pool.
_FIRES_1_0 = (16, 16, 32, 0, 32, 48, 48, 64, 0, 64)
_FIRES_1_1 = (16, 16, 0, 32, 32, 0, 48, 48, 64, 64)


class Fire(nn.Module):
    """1x1 down to `squeezed` channels; 1x1 and 3x3 side by side up to eight times as many."""

    def __init__(self, in_channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.expand3x3 = nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, 8 * squeezed, H, W)."""
        maps = self.relu(self.squeeze(maps))
        return torch.cat([self.relu(self.expand1x1(maps)), self.relu(self.expand3x3(maps))], 1)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class SqueezeNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(
        self,
        stem: tuple[int, int],
        fires: tuple[int, ...],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels, kernel = stem
        layers = [nn.Conv2d(in_channels, channels, kernel, stride=2), nn.ReLU(), _pool()]
        for squeezed in fires:
            layers.append(Fire(channels, squeezed) if squeezed else _pool())
            channels = 8 * squeezed or channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Conv2d(channels, num_classes, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images; as in the paper, none of them is below zero."""
        return torch.flatten(self.classifier(self.features(images)), 1)


squeezenet1_0 = partial(SqueezeNet, (96, 7), _FIRES_1_0)
squeezenet1_1 = partial(SqueezeNet, (64, 3), _FIRES_1_1)
