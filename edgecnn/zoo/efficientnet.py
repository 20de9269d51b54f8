"""EfficientNet. Tan, Le: EfficientNet: rethinking model scaling for convolutional neural networks,
ICML 2019, arXiv:1905.11946.

The idea: find one small network by search, then grow width, depth and resolution together, since
each alone soon stops to pay.

Table of sizes (the paper's table 1) of B0, from 224x224; t widens, k is the kernel:

    stem 3x3 -> 32, stride 2
    t  k  c    blocks  first stride  output side
    1  3   16  1       1             112
    6  3   24  2       2              56
    6  5   40  2       2              28
    6  3   80  3       2              14
    6  5  112  3       1              14
    6  5  192  4       2               7
    6  3  320  1       1               7
    head 1x1 -> 1280, global average, classes

    scaled           b0   b1   b2   b3   b4
    width            1.0  1.0  1.1  1.2  1.4
    depth            1.0  1.1  1.2  1.4  1.8
    images (paper)   224  240  260  300  380
    dropout          0.2  0.2  0.3  0.3  0.4

Every block has squeeze-and-excitation to a quarter of its input, swish, and, in training,
stochastic depth that grows to 0.2. Parameter names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import (
    ConvNorm,
    SqueezeExcitation,
    StochasticDepth,
    initialize,
    scale_channels,
)

STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
_STEM_CHANNELS = 32
_HEAD_EXPANSION = 4
_STOCHASTIC_DEPTH = 0.2


class MBConv(nn.Module):
    """Widen (1x1), filter each channel (k x k depthwise), gate, narrow without activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int,
        expansion: int,
        left_out: float,
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.has_shortcut = stride == 1 and in_channels == out_channels
        widen = () if expansion == 1 else (ConvNorm(in_channels, wide, 1, activation=nn.SiLU),)
        squeezed = max(1, in_channels // 4)
        self.block = nn.Sequential(
            *widen,
            ConvNorm(wide, wide, kernel, stride=stride, groups=wide, activation=nn.SiLU),
            SqueezeExcitation(wide, squeezed, activation=nn.SiLU, gate=nn.Sigmoid),
            ConvNorm(wide, out_channels, 1, activation=None),
        )
        self.stochastic_depth = StochasticDepth(left_out)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        result: Tensor = self.block(maps)
        return maps + self.stochastic_depth(result) if self.has_shortcut else result


class EfficientNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(
        self,
        width: float,
        depth: float,
        *,
        dropout: float,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        stem = scale_channels(_STEM_CHANNELS, width)
        last = scale_channels(STAGES[-1][2], width)
        self.features = nn.Sequential(
            ConvNorm(in_channels, stem, 3, stride=2, activation=nn.SiLU),
            *_stages(stem, width, depth),
            ConvNorm(last, _HEAD_EXPANSION * last, 1, activation=nn.SiLU),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(_HEAD_EXPANSION * last, num_classes)
        )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.avgpool(self.features(images))
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


def _stages(in_channels: int, width: float, depth: float) -> Iterator[nn.Sequential]:
    blocks = sum(math.ceil(depth * repeats) for _, _, _, repeats, _ in STAGES)
    done = 0
    for expansion, kernel, channels, repeats, first_stride in STAGES:
        out_channels = scale_channels(channels, width)
        stage = nn.Sequential()
        for index in range(math.ceil(depth * repeats)):
            block = MBConv(
                in_channels,
                out_channels,
                kernel,
                stride=first_stride if index == 0 else 1,
                expansion=expansion,
                left_out=_STOCHASTIC_DEPTH * done / blocks,
            )
            stage.append(block)
            in_channels = out_channels
            done += 1
        yield stage


efficientnet_b0 = partial(EfficientNet, 1.0, 1.0, dropout=0.2)
efficientnet_b1 = partial(EfficientNet, 1.0, 1.1, dropout=0.2)
efficientnet_b2 = partial(EfficientNet, 1.1, 1.2, dropout=0.3)
efficientnet_b3 = partial(EfficientNet, 1.2, 1.4, dropout=0.3)
efficientnet_b4 = partial(EfficientNet, 1.4, 1.8, dropout=0.4)
