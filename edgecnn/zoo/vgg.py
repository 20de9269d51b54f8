"""VGG. Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition,
ICLR 2015, arXiv:1409.1556.

The idea: depth from one brick. Stacked 3x3 convolutions see as far as one large kernel, with fewer
weights and more non-linearities between them; every pooling halves the map and doubles the width.

Table of sizes (the paper's table 1, columns A and D), convolutions in each stage, from 224x224:

    stage  1 (64, 224)  2 (128, 112)  3 (256, 56)  4 (512, 28)  5 (512, 14)  head, from 7x7
    vgg11  1            1             2            2            2            4096-4096-classes
    vgg16  2            2             3            3            3            4096-4096-classes

Parameter names are torchvision's, so its checkpoints load. `small_input` is the variant for images
of 32x32: the last map is 1x1 there, so the head shrinks to 512-512-classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize, scale_channels

_STAGE_CHANNELS = (64, 128, 256, 512, 512)
_VGG11 = (1, 1, 2, 2, 2)
_VGG16 = (2, 2, 3, 3, 3)


class VGG(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); H and W are multiples of 32."""

    def __init__(
        self,
        stages: tuple[int, ...],
        *,
        num_classes: int,
        width: float,
        in_channels: int,
        small_input: bool,
    ) -> None:
        super().__init__()
        channels = tuple(scale_channels(count, width) for count in _STAGE_CHANNELS)
        hidden = scale_channels(512 if small_input else 4096, width)
        self.map_side = 1 if small_input else 7
        self.features = nn.Sequential(*_stages(stages, channels, in_channels))
        self.avgpool = nn.AdaptiveAvgPool2d(self.map_side)
        self.classifier = nn.Sequential(
            nn.Linear(channels[-1] * self.map_side**2, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, num_classes),
        )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.features(images)
        # At the size the network was made for, the pool would only copy: keep it out of the export.
        if maps.shape[-2:] != (self.map_side, self.map_side):
            maps = self.avgpool(maps)
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


def _stages(
    stages: tuple[int, ...], channels: tuple[int, ...], in_channels: int
) -> Iterator[nn.Module]:
    for repeats, out_channels in zip(stages, channels, strict=True):
        for _ in range(repeats):
            yield nn.Conv2d(in_channels, out_channels, 3, padding=1)
            yield nn.ReLU()
            in_channels = out_channels
        yield nn.MaxPool2d(2)


def vgg11(
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    in_channels: int = 3,
    small_input: bool = False,
) -> VGG:
    """VGG with 11 layers of weights (configuration A)."""
    return VGG(
        _VGG11,
        num_classes=num_classes,
        width=width,
        in_channels=in_channels,
        small_input=small_input,
    )


def vgg16(
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    in_channels: int = 3,
    small_input: bool = False,
) -> VGG:
    """VGG with 16 layers of weights (configuration D)."""
    return VGG(
        _VGG16,
        num_classes=num_classes,
        width=width,
        in_channels=in_channels,
        small_input=small_input,
    )
