"""MobileNetV1. Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam: MobileNets:
efficient convolutional neural networks for mobile vision applications, 2017, arXiv:1704.04861.

The idea: a 3x3 on each channel alone, then a 1x1 across the channels, for about an eighth of the
work of a full 3x3; and two numbers to trade accuracy for speed with: width and resolution.

Table of sizes (the paper's table 1), from 224x224; a block is depthwise 3x3, pointwise 1x1:

    stem 3x3 stride 2 -> 32      112
    block 64                     112
    block 128 stride 2,  128      56
    block 256 stride 2,  256      28
    block 512 stride 2,  512 x5   14
    block 1024 stride 2, 1024      7
    global average, 1x1 -> classes

`width` multiplies all channels (rounded to multiples of 8); `small_input` keeps the stem at full
size, for images of 32x32. As in TensorFlow, where its weights come from, strided convolutions are
padded on the right and the bottom, the classes come from a 1x1 convolution, and the batch norms'
epsilon is 1e-3.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize, scale_channels, set_norms

_STEM_CHANNELS = 32
# Output channels and stride of each block.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
_BN_EPSILON = 1e-3


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int) -> nn.Module:
    """A convolution without bias, padded as TensorFlow does, its batch norm, and ReLU6."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Sequential(
        *(() if stride == 1 else (nn.ZeroPad2d((0, 1, 0, 1)),)),
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )


class MobileNetV1(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); H and W are multiples of 32
    (of 16 with `small_input`).
    """

    def __init__(
        self, *, num_classes: int, width: float, in_channels: int, small_input: bool
    ) -> None:
        super().__init__()
        stem_stride = 1 if small_input else 2
        self.features = nn.Sequential(*_layers(in_channels, width, stem_stride))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(1e-3)
        self.classifier = nn.Conv2d(scale_channels(_BLOCKS[-1][0], width), num_classes, 1)
        set_norms(self, epsilon=_BN_EPSILON)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.dropout(self.avgpool(self.features(images)))
        return torch.flatten(self.classifier(maps), 1)


def _layers(in_channels: int, width: float, stem_stride: int) -> Iterator[nn.Module]:
    channels = scale_channels(_STEM_CHANNELS, width)
    yield _conv(in_channels, channels, 3, stem_stride, 1)
    for count, stride in _BLOCKS:
        out_channels = scale_channels(count, width)
        yield _conv(channels, channels, 3, stride, channels)
        yield _conv(channels, out_channels, 1, 1, 1)
        channels = out_channels


def mobilenetv1(
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    in_channels: int = 3,
    small_input: bool = False,
) -> MobileNetV1:
    """MobileNetV1; `width` 1.0 is the paper's default."""
    return MobileNetV1(
        num_classes=num_classes, width=width, in_channels=in_channels, small_input=small_input
    )
