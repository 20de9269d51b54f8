"""MobileNetV2. Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear
bottlenecks, CVPR 2018, arXiv:1801.04381.

The idea: keep the maps that travel between blocks narrow, widen them only inside a block where a
cheap depthwise convolution works on them, and leave out the ReLU where they are narrow, since it
would throw information away.

Table of sizes (the paper's table 2), from 224x224; t widens, c is the output's channels:

    stem 3x3 -> 32, stride 2
    t  c    blocks  first stride  output side
    1   16  1       1             112
    6   24  2       2              56
    6   32  3       2              28
    6   64  4       2              14
    6   96  3       1              14
    6  160  3       2               7
    6  320  1       1               7
    head 1x1 -> 1280 (not narrowed below that), global average, classes

Parameter names are torchvision's, so its checkpoints load. `width` is the paper's multiplier;
`small_input` keeps the stem at full size, for images of 32x32.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import ConvNorm, initialize, scale_channels

_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280


class InvertedResidual(nn.Module):
    """Widen (1x1), filter each channel (3x3 depthwise), narrow without ReLU (1x1)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.has_shortcut = stride == 1 and in_channels == out_channels
        widen = () if expansion == 1 else (ConvNorm(in_channels, wide, 1, activation=nn.ReLU6),)
        self.conv = nn.Sequential(
            *widen,
            ConvNorm(wide, wide, 3, stride=stride, groups=wide, activation=nn.ReLU6),
            nn.Conv2d(wide, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        result: Tensor = self.conv(maps)
        return maps + result if self.has_shortcut else result


class MobileNetV2(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(
        self, *, num_classes: int, width: float, in_channels: int, small_input: bool
    ) -> None:
        super().__init__()
        stem = scale_channels(_STEM_CHANNELS, width)
        last = scale_channels(_STAGES[-1][1], width)
        head = scale_channels(_HEAD_CHANNELS, max(1.0, width))
        self.features = nn.Sequential(
            ConvNorm(in_channels, stem, 3, stride=1 if small_input else 2, activation=nn.ReLU6),
            *_blocks(stem, width),
            ConvNorm(last, head, 1, activation=nn.ReLU6),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(head, num_classes))
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.avgpool(self.features(images))
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


def _blocks(in_channels: int, width: float) -> Iterator[InvertedResidual]:
    for expansion, channels, repeats, first_stride in _STAGES:
        out_channels = scale_channels(channels, width)
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            yield InvertedResidual(in_channels, out_channels, stride=stride, expansion=expansion)
            in_channels = out_channels


def mobilenetv2(
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    in_channels: int = 3,
    small_input: bool = False,
) -> MobileNetV2:
    """MobileNetV2; `width` 1.0 is the paper's default."""
    return MobileNetV2(
        num_classes=num_classes, width=width, in_channels=in_channels, small_input=small_input
    )
