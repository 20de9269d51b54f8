"""ResNet. He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016,
arXiv:1512.03385.

The idea: let each block learn what to add to its input instead of what to replace it with. The
shortcut carries signal and gradient past the block, so that depth stops hurting.

Table of sizes (the paper's table 1), blocks in each stage, from 224x224:

    stage      stem (64, 112)  1 (64, 56)  2 (128, 28)  3 (256, 14)  4 (512, 7)  block
    resnet18   7x7, pool       2           2            2            2           3x3, 3x3
    resnet34   7x7, pool       3           4            6            3           3x3, 3x3
    plain34    7x7, pool       3           4            6            3           3x3, 3x3 alone
    resnet50   7x7, pool       3           4            6            3           1x1, 3x3, 1x1 (x4)
    resnet101  7x7, pool       3           4            23           3           1x1, 3x3, 1x1 (x4)
    resnet152  7x7, pool       3           8            36           3           1x1, 3x3, 1x1 (x4)

As in torchvision, whose parameter names these are, a bottleneck's stride sits on its 3x3
convolution ("v1.5"; the paper puts it on the first 1x1). `small_input` is the paper's own stem for
32x32 images (section 4.2): one 3x3 convolution at full size and no pooling.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize, scale_channels

_STAGE_CHANNELS = (64, 128, 256, 512)


class _Residual(nn.Module):
    """What both blocks share: a shortcut (made to fit where it must), the addition, the ReLU."""

    downsample: nn.Module | None
    relu: nn.ReLU

    def residual(self, maps: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = maps if self.downsample is None else self.downsample(maps)
        result: Tensor = self.relu(self.residual(maps) + shortcut)
        return result


def _downsample(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """The paper's option B: a 1x1 convolution where the shapes differ, else nothing."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(_Residual):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.downsample = _downsample(in_channels, channels, stride)

    def residual(self, maps: Tensor) -> Tensor:
        """What the block adds to its shortcut."""
        maps = self.relu(self.bn1(self.conv1(maps)))
        result: Tensor = self.bn2(self.conv2(maps))
        return result


class PlainBlock(BasicBlock):
    """Two 3x3 convolutions and nothing beside them: what the paper compares its blocks with."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(in_channels, channels, stride)
        self.downsample = None

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, channels, H / stride, W / stride)."""
        result: Tensor = self.relu(self.residual(maps))
        return result


class Bottleneck(_Residual):
    """1x1 down to `channels`, 3x3, 1x1 up to four times `channels`, beside a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = _downsample(in_channels, channels * self.expansion, stride)

    def residual(self, maps: Tensor) -> Tensor:
        """What the block adds to its shortcut."""
        maps = self.relu(self.bn1(self.conv1(maps)))
        maps = self.relu(self.bn2(self.conv2(maps)))
        result: Tensor = self.bn3(self.conv3(maps))
        return result


class ResNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        repeats: tuple[int, ...],
        *,
        num_classes: int = 1000,
        width: float = 1.0,
        in_channels: int = 3,
        small_input: bool = False,
    ) -> None:
        super().__init__()
        channels = tuple(scale_channels(count, width) for count in _STAGE_CHANNELS)
        kernel, stride = (3, 1) if small_input else (7, 2)
        self.conv1 = nn.Conv2d(
            in_channels, channels[0], kernel, stride, padding=kernel // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small_input else nn.MaxPool2d(3, 2, padding=1)
        stages = [nn.Sequential(*blocks) for blocks in _stages(block, repeats, channels)]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels[-1] * block.expansion, num_classes)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(maps), 1))
        return logits


def _stages(
    block: type[BasicBlock | Bottleneck], repeats: tuple[int, ...], channels: tuple[int, ...]
) -> Iterator[list[nn.Module]]:
    in_channels = channels[0]
    for stage, (count, width) in enumerate(zip(repeats, channels, strict=True)):
        blocks: list[nn.Module] = []
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            blocks.append(block(in_channels, width, stride))
            in_channels = width * block.expansion
        yield blocks


resnet18 = partial(ResNet, BasicBlock, (2, 2, 2, 2))
resnet34 = partial(ResNet, BasicBlock, (3, 4, 6, 3))
plain34 = partial(ResNet, PlainBlock, (3, 4, 6, 3))
resnet50 = partial(ResNet, Bottleneck, (3, 4, 6, 3))
resnet101 = partial(ResNet, Bottleneck, (3, 4, 23, 3))
resnet152 = partial(ResNet, Bottleneck, (3, 8, 36, 3))
