"""ResNet for CIFAR. He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016,
arXiv:1512.03385, section 4.2.

The idea: show that shortcuts, not size, make depth work: networks of 20 to 56 layers with the same
few channels. Where the shape changes, the shortcut has no parameters: it takes every second pixel
and fills the new channels with zeros (the paper's option A).

Table of sizes, two 3x3 convolutions a block, from 32x32:

    stage     stem (16, 32)  1 (16, 32)  2 (32, 16)  3 (64, 8)
    resnet20  3x3            3           3           3
    resnet32  3x3            5           5           5
    resnet44  3x3            7           7           7
    resnet56  3x3            9           9           9

Parameter names are those of the widely used checkpoints of github.com/akamaster/
pytorch_resnet_cifar10, which put half of the zeros before the old channels and half after.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo.blocks import initialize

_CHANNELS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut without parameters."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, channels, H / stride, W / stride)."""
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))
        result: Tensor = self.relu(residual + self._shortcut(maps))
        return result

    def _shortcut(self, maps: Tensor) -> Tensor:
        if self.stride == 1 and not self.new_channels:
            return maps
        half = self.new_channels // 2
        picked = maps[:, :, :: self.stride, :: self.stride]
        return functional.pad(picked, (0, 0, 0, 0, half, self.new_channels - half))


class CifarResNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes)."""

    def __init__(self, blocks: int, *, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        first = _CHANNELS[0]
        self.conv1 = nn.Conv2d(in_channels, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU()
        self.layer1 = _stage(first, first, blocks, stride=1)
        self.layer2 = _stage(first, _CHANNELS[1], blocks, stride=2)
        self.layer3 = _stage(_CHANNELS[1], _CHANNELS[2], blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(_CHANNELS[2], num_classes)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        logits: Tensor = self.linear(torch.flatten(self.avgpool(maps), 1))
        return logits


def _stage(in_channels: int, channels: int, blocks: int, *, stride: int) -> nn.Sequential:
    rest = (BasicBlock(channels, channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(in_channels, channels, stride), *rest)


resnet20 = partial(CifarResNet, 3)
resnet32 = partial(CifarResNet, 5)
resnet44 = partial(CifarResNet, 7)
resnet56 = partial(CifarResNet, 9)
