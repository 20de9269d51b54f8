"""MobileNetV3. Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam:
Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244.

The idea: let a search choose the blocks of MobileNetV2 for a real phone's latency, gate channels
with squeeze-and-excitation where it pays, and use a swish made of straight lines.

Tables of sizes (the paper's tables 1 and 2), from 224x224: kernel, widened to, output, squeeze-
and-excitation (SE), activation (RE: ReLU, HS: hard swish), stride; below, as data. Stem: 3x3
stride 2 -> 16. End: 1x1 -> six times the last output, global average, hidden linear, classes.

Parameter names are torchvision's, whose epsilon 1e-3 and momentum 0.01 the batch norms have.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import (
    ConvNorm,
    SqueezeExcitation,
    initialize,
    scale_channels,
    set_norms,
)


class Row(NamedTuple):
    """One block of the paper's tables."""

    kernel: int
    wide: int
    channels: int
    gated: bool
    activation: type[nn.Module]
    stride: int


_RE, _HS = nn.ReLU, nn.Hardswish

_LARGE = (
    Row(3, 16, 16, False, _RE, 1),
    Row(3, 64, 24, False, _RE, 2),
    Row(3, 72, 24, False, _RE, 1),
    Row(5, 72, 40, True, _RE, 2),
    Row(5, 120, 40, True, _RE, 1),
    Row(5, 120, 40, True, _RE, 1),
    Row(3, 240, 80, False, _HS, 2),
    Row(3, 200, 80, False, _HS, 1),
    Row(3, 184, 80, False, _HS, 1),
    Row(3, 184, 80, False, _HS, 1),
    Row(3, 480, 112, True, _HS, 1),
    Row(3, 672, 112, True, _HS, 1),
    Row(5, 672, 160, True, _HS, 2),
    Row(5, 960, 160, True, _HS, 1),
    Row(5, 960, 160, True, _HS, 1),
)
# For detection (section 6.3) the last stage is half as wide.
_LARGE_REDUCED = (
    *_LARGE[:12],
    Row(5, 672, 80, True, _HS, 2),
    Row(5, 480, 80, True, _HS, 1),
    Row(5, 480, 80, True, _HS, 1),
)
_SMALL = (
    Row(3, 16, 16, True, _RE, 2),
    Row(3, 72, 24, False, _RE, 2),
    Row(3, 88, 24, False, _RE, 1),
    Row(5, 96, 40, True, _HS, 2),
    Row(5, 240, 40, True, _HS, 1),
    Row(5, 240, 40, True, _HS, 1),
    Row(5, 120, 48, True, _HS, 1),
    Row(5, 144, 48, True, _HS, 1),
    Row(5, 288, 96, True, _HS, 2),
    Row(5, 576, 96, True, _HS, 1),
    Row(5, 576, 96, True, _HS, 1),
)
_STEM_CHANNELS = 16
_LAST_EXPANSION = 6
_BN_EPSILON = 1e-3
_BN_MOMENTUM = 0.01


class InvertedResidual(nn.Module):
    """Widen (1x1), filter each channel (k x k depthwise), gate, narrow without activation."""

    def __init__(self, in_channels: int, row: Row) -> None:
        super().__init__()
        self.has_shortcut = row.stride == 1 and in_channels == row.channels
        self.block = nn.Sequential(*_layers(in_channels, row))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, row.channels, H / stride, W / stride)."""
        result: Tensor = self.block(maps)
        return maps + result if self.has_shortcut else result


def _layers(in_channels: int, row: Row) -> Iterator[nn.Module]:
    if row.wide != in_channels:
        yield ConvNorm(in_channels, row.wide, 1, activation=row.activation)
    yield ConvNorm(
        row.wide,
        row.wide,
        row.kernel,
        stride=row.stride,
        groups=row.wide,
        activation=row.activation,
    )
    if row.gated:
        squeezed = scale_channels(row.wide, 1 / 4)
        yield SqueezeExcitation(row.wide, squeezed, activation=nn.ReLU, gate=nn.Hardsigmoid)
    yield ConvNorm(row.wide, row.channels, 1, activation=None)


def mobilenetv3_features(rows: tuple[Row, ...], in_channels: int) -> Iterator[nn.Module]:
    """The layers before the average: stem, blocks, last 1x1."""
    channels = _STEM_CHANNELS
    yield ConvNorm(in_channels, channels, 3, stride=2, activation=nn.Hardswish)
    for row in rows:
        yield InvertedResidual(channels, row)
        channels = row.channels
    yield ConvNorm(channels, _LAST_EXPANSION * channels, 1, activation=nn.Hardswish)


def mobilenetv3_large_reduced(in_channels: int) -> tuple[nn.Module, ...]:
    """The layers of the large network with a narrow last stage: the backbone of SSDLite."""
    return tuple(mobilenetv3_features(_LARGE_REDUCED, in_channels))


class MobileNetV3(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(
        self,
        rows: tuple[Row, ...],
        hidden: int,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*mobilenetv3_features(rows, in_channels))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(_LAST_EXPANSION * rows[-1].channels, hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(hidden, num_classes),
        )
        set_norms(self, epsilon=_BN_EPSILON, momentum=_BN_MOMENTUM)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.avgpool(self.features(images))
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


mobilenetv3_large = partial(MobileNetV3, _LARGE, 1280)
mobilenetv3_small = partial(MobileNetV3, _SMALL, 1024)
