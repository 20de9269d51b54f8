"""GoogLeNet. Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: Going
deeper with convolutions, CVPR 2015, arXiv:1409.4842.

The idea: do not choose the kernel size; run several side by side and let the next layer choose. 1x1
convolutions make the maps narrow before the dear kernels see them, a tenth of the work.

Table of sizes (the paper's table 1), from 224x224; filters of each branch, "red" narrows:

    stem 7x7 stride 2 -> 64, pool, 1x1 -> 64, 3x3 -> 192, pool                       28
    block  1x1  3x3 red, 3x3  5x5 red, 5x5  pool 1x1   output            side
    3a      64   96     128    16     32     32         256               28
    3b     128  128     192    32     96     64         480, then pool    28
    4a     192   96     208    16     48     64         512               14
    4b     160  112     224    24     64     64         512               14
    4c     128  128     256    24     64     64         512               14
    4d     112  144     288    32     64     64         528               14
    4e     256  160     320    32    128    128         832, then pool    14
    5a     256  160     320    32    128    128         832                7
    5b     384  192     384    48    128    128        1024                7
    global average, classes

As in torchvision, whose parameter names these are, every convolution has a batch norm (the paper
came before it) and the third branch's kernel is 3x3: its weights were trained so. In training,
two auxiliary heads after 4a and 4d give their own logits; the paper weighs their losses by 0.3.

`width` multiplies all channels but the auxiliary heads', rounded to multiples of 8. `small_input`
is the form for images of 32x32: one 3x3 convolution to 192 channels in the place of the stem and
its pools, so that the blocks see maps of 32, 16 and 8 (as in github.com/kuangliu/pytorch-cifar).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo.blocks import AuxiliaryHead, initialize, scale_channels, set_norms

_BN_EPSILON = 1e-3
_STEM_CHANNELS = (64, 192)

# Channels of a block's branches: 1x1; what narrows before the 3x3, and that; so for the 5x5; pool.
_Sizes = tuple[int, tuple[int, int], tuple[int, int], int]
_BLOCKS: dict[str, _Sizes] = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}


class BasicConv(nn.Module):
    """A convolution without bias, its batch norm, and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        result: Tensor = self.relu(self.bn(self.conv(maps)))
        return result


class Inception(nn.Module):
    """Four branches side by side, their maps one after the other."""

    def __init__(
        self,
        in_channels: int,
        direct: int,
        middle: tuple[int, int],
        wide: tuple[int, int],
        pooled: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv(in_channels, direct, 1)
        self.branch2 = nn.Sequential(
            BasicConv(in_channels, middle[0], 1), BasicConv(middle[0], middle[1], 3)
        )
        self.branch3 = nn.Sequential(
            BasicConv(in_channels, wide[0], 1), BasicConv(wide[0], wide[1], 3)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), BasicConv(in_channels, pooled, 1)
        )
        self.out_channels = direct + middle[1] + wide[1] + pooled

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, the sum of the branches, H, W)."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(maps) for branch in branches], 1)


class GoogLeNetAux(AuxiliaryHead):
    """Maps (N, in_channels, H, W) of the middle of the network to logits (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = BasicConv(in_channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, maps: Tensor) -> Tensor:
        """Logits of a batch of maps."""
        maps = self.conv(functional.adaptive_avg_pool2d(maps, 4))
        features = self.dropout(functional.relu(self.fc1(torch.flatten(maps, 1))))
        logits: Tensor = self.fc2(features)
        return logits


class GoogLeNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes).

    In training, with its auxiliary heads, it gives three logits: its own, those after block 4a
    and those after block 4d.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: float,
        in_channels: int,
        small_input: bool,
        auxiliary: bool,
    ) -> None:
        super().__init__()
        first, channels = (scale_channels(count, width) for count in _STEM_CHANNELS)
        small = small_input
        self.conv1 = (
            BasicConv(in_channels, channels, 3) if small else BasicConv(in_channels, first, 7, 2)
        )
        self.maxpool1 = nn.Identity() if small else nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = nn.Identity() if small else BasicConv(first, first, 1)
        self.conv3 = nn.Identity() if small else BasicConv(first, channels, 3)
        self.maxpool2 = nn.Identity() if small else nn.MaxPool2d(3, stride=2, ceil_mode=True)
        after = {}
        for name, sizes in _BLOCKS.items():
            block = Inception(channels, *_scaled(sizes, width))
            self.add_module(f"inception{name}", block)
            channels = after[name] = block.out_channels
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.aux1 = GoogLeNetAux(after["4a"], num_classes) if auxiliary else None
        self.aux2 = GoogLeNetAux(after["4d"], num_classes) if auxiliary else None
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(channels, num_classes)
        set_norms(self, epsilon=_BN_EPSILON)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Logits of a batch of images; in training, the auxiliary heads' after the network's."""
        maps = self.maxpool1(self.conv1(images))
        maps = self.maxpool2(self.conv3(self.conv2(maps)))
        maps = self.maxpool3(self._run("3a", "3b", maps=maps))
        first = self._run("4a", maps=maps)
        second = self._run("4b", "4c", "4d", maps=first)
        maps = self._run("5a", "5b", maps=self.maxpool4(self._run("4e", maps=second)))
        features = torch.flatten(self.avgpool(maps), 1)
        logits: Tensor = self.fc(self.dropout(features))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return logits, self.aux1(first), self.aux2(second)
        return logits

    def _run(self, *names: str, maps: Tensor) -> Tensor:
        for name in names:
            maps = self.get_submodule(f"inception{name}")(maps)
        return maps


def _scaled(sizes: _Sizes, width: float) -> _Sizes:
    direct, (narrow3, wide3), (narrow5, wide5), pooled = sizes
    return (
        scale_channels(direct, width),
        (scale_channels(narrow3, width), scale_channels(wide3, width)),
        (scale_channels(narrow5, width), scale_channels(wide5, width)),
        scale_channels(pooled, width),
    )


def googlenet(
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    in_channels: int = 3,
    small_input: bool = False,
    auxiliary: bool = True,
) -> GoogLeNet:
    """GoogLeNet; `auxiliary` adds the two heads that only training uses."""
    return GoogLeNet(
        num_classes=num_classes,
        width=width,
        in_channels=in_channels,
        small_input=small_input,
        auxiliary=auxiliary,
    )
