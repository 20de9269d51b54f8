"""Inception V3. Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for
computer vision, CVPR 2016, arXiv:1512.00567.

The idea: factor the large kernels. Two 3x3 see as far as one 5x5 for 18 instead of 25 weights, and
a 1x7 with a 7x1 see as far as a 7x7 for 14 instead of 49.

Table of sizes (the paper's table 1), from 299x299:

    stem: 3x3 stride 2 -> 32, 3x3 -> 32, 3x3 -> 64, pool, 1x1 -> 80, 3x3 -> 192, pool      35
    blocks          branches                                          channels             side
    5b, 5c, 5d      1x1 | 5x5 | 3x3 3x3 | pool                        256, 288, 288        35
    6a              3x3 stride 2 | 3x3 3x3 stride 2 | pool            768                  17
    6b, 6c, 6d, 6e  1x1 | 1x7 7x1 | 7x1 1x7 7x1 1x7 | pool            768                  17
    7a              3x3 stride 2 | 1x7 7x1 3x3 stride 2 | pool        1280                  8
    7b, 7c          1x1 | 1x3 and 3x1 | 3x3, 1x3 and 3x1 | pool       2048                  8
    global average, classes

Parameter names are torchvision's, so its checkpoint loads; its batch norms have an epsilon of 1e-3.
In training, an auxiliary head after 6e gives its own logits; the usual weight of its loss is 0.4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo.blocks import AuxiliaryHead, initialize, set_norms

_BN_EPSILON = 1e-3
_ROW, _COLUMN = (1, 7), (7, 1)


class _Conv(NamedTuple):
    """A row of the tables below; the kernel is (height, width), a stride of 2 goes unpadded."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


# Convolutions one after the other; where a step has two, the branch forks and both maps are kept.
_Branch = tuple[tuple[_Conv, ...], ...]


class BasicConv(nn.Module):
    """A convolution without bias, its batch norm, and ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        *,
        stride: int = 1,
        padded: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else 0
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, ...)."""
        result: Tensor = self.relu(self.bn(self.conv(maps)))
        return result


class Mixed(nn.Module):
    """Branches side by side, the last of them behind a pool; their maps one after the other."""

    def __init__(self, in_channels: int, branches: tuple[_Branch, ...], *, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.names = tuple(
            tuple(tuple(conv.name for conv in step) for step in branch) for branch in branches
        )
        for branch in branches:
            channels = in_channels
            for step in branch:
                for name, out_channels, kernel, stride in step:
                    padded = stride == 1
                    conv = BasicConv(channels, out_channels, kernel, stride=stride, padded=padded)
                    self.add_module(name, conv)
                channels = step[-1].channels

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, the sum of the branches, ...)."""
        *branches, last = self.names
        outputs = [end for names in branches for end in self._ends(names, maps)]
        return torch.cat([*outputs, *self._ends(last, self.pool(maps))], 1)

    def _ends(self, steps: tuple[tuple[str, ...], ...], maps: Tensor) -> list[Tensor]:
        ends = [maps]
        for step in steps:
            ends = [self.get_submodule(name)(end) for end in ends for name in step]
        return ends


def _line(*convs: _Conv) -> _Branch:
    return tuple((conv,) for conv in convs)


def _average() -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1)


def _mixed_5(in_channels: int, pooled: int) -> Mixed:
    branches = (
        _line(_Conv("branch1x1", 64)),
        _line(_Conv("branch5x5_1", 48), _Conv("branch5x5_2", 64, (5, 5))),
        _line(
            _Conv("branch3x3dbl_1", 64),
            _Conv("branch3x3dbl_2", 96, (3, 3)),
            _Conv("branch3x3dbl_3", 96, (3, 3)),
        ),
        _line(_Conv("branch_pool", pooled)),
    )
    return Mixed(in_channels, branches, pool=_average())


def _mixed_6a() -> Mixed:
    branches = (
        _line(_Conv("branch3x3", 384, (3, 3), 2)),
        _line(
            _Conv("branch3x3dbl_1", 64),
            _Conv("branch3x3dbl_2", 96, (3, 3)),
            _Conv("branch3x3dbl_3", 96, (3, 3), 2),
        ),
        (),
    )
    return Mixed(288, branches, pool=nn.MaxPool2d(3, stride=2))


def _mixed_6(narrow: int) -> Mixed:
    branches = (
        _line(_Conv("branch1x1", 192)),
        _line(
            _Conv("branch7x7_1", narrow),
            _Conv("branch7x7_2", narrow, _ROW),
            _Conv("branch7x7_3", 192, _COLUMN),
        ),
        _line(
            _Conv("branch7x7dbl_1", narrow),
            _Conv("branch7x7dbl_2", narrow, _COLUMN),
            _Conv("branch7x7dbl_3", narrow, _ROW),
            _Conv("branch7x7dbl_4", narrow, _COLUMN),
            _Conv("branch7x7dbl_5", 192, _ROW),
        ),
        _line(_Conv("branch_pool", 192)),
    )
    return Mixed(768, branches, pool=_average())


def _mixed_7a() -> Mixed:
    branches = (
        _line(_Conv("branch3x3_1", 192), _Conv("branch3x3_2", 320, (3, 3), 2)),
        _line(
            _Conv("branch7x7x3_1", 192),
            _Conv("branch7x7x3_2", 192, _ROW),
            _Conv("branch7x7x3_3", 192, _COLUMN),
            _Conv("branch7x7x3_4", 192, (3, 3), 2),
        ),
        (),
    )
    return Mixed(768, branches, pool=nn.MaxPool2d(3, stride=2))


def _mixed_7(in_channels: int) -> Mixed:
    branches = (
        _line(_Conv("branch1x1", 320)),
        (
            (_Conv("branch3x3_1", 384),),
            (_Conv("branch3x3_2a", 384, (1, 3)), _Conv("branch3x3_2b", 384, (3, 1))),
        ),
        (
            (_Conv("branch3x3dbl_1", 448),),
            (_Conv("branch3x3dbl_2", 384, (3, 3)),),
            (_Conv("branch3x3dbl_3a", 384, (1, 3)), _Conv("branch3x3dbl_3b", 384, (3, 1))),
        ),
        _line(_Conv("branch_pool", 192)),
    )
    return Mixed(in_channels, branches, pool=_average())


class InceptionAux(AuxiliaryHead):
    """Maps (N, 768, H, W) of the middle of the network to logits (N, num_classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv0 = BasicConv(768, 128, (1, 1))
        self.conv1 = BasicConv(128, 768, (5, 5), padded=False)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Logits of a batch of maps of at least 17x17."""
        maps = self.conv1(self.conv0(functional.avg_pool2d(maps, 5, stride=3)))
        logits: Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(maps, 1), 1))
        return logits


class InceptionV3(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); H and W at least 75.

    In training, with its auxiliary head, it gives two logits: its own and those after block 6e;
    images are then 299x299 or larger.
    """

    def __init__(self, *, num_classes: int, in_channels: int, auxiliary: bool) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv(in_channels, 32, (3, 3), stride=2, padded=False)
        self.Conv2d_2a_3x3 = BasicConv(32, 32, (3, 3), padded=False)
        self.Conv2d_2b_3x3 = BasicConv(32, 64, (3, 3))
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = BasicConv(80, 192, (3, 3), padded=False)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = _mixed_5(192, 32)
        self.Mixed_5c = _mixed_5(256, 64)
        self.Mixed_5d = _mixed_5(288, 64)
        self.Mixed_6a = _mixed_6a()
        self.Mixed_6b = _mixed_6(128)
        self.Mixed_6c = _mixed_6(160)
        self.Mixed_6d = _mixed_6(160)
        self.Mixed_6e = _mixed_6(192)
        self.AuxLogits = InceptionAux(num_classes) if auxiliary else None
        self.Mixed_7a = _mixed_7a()
        self.Mixed_7b = _mixed_7(1280)
        self.Mixed_7c = _mixed_7(2048)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(2048, num_classes)
        set_norms(self, epsilon=_BN_EPSILON)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of a batch of images; in training, the auxiliary head's after the network's."""
        maps = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))
        maps = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(maps)))
        maps = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(self.maxpool2(maps))))
        maps = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(maps)))
        middle = self.Mixed_6e(self.Mixed_6d(maps))
        maps = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(middle)))
        logits: Tensor = self.fc(self.dropout(torch.flatten(self.avgpool(maps), 1)))
        if self.training and self.AuxLogits is not None:
            return logits, self.AuxLogits(middle)
        return logits


def inception_v3(
    *, num_classes: int = 1000, in_channels: int = 3, auxiliary: bool = True
) -> InceptionV3:
    """Inception V3; `auxiliary` adds the head that only training uses."""
    return InceptionV3(num_classes=num_classes, in_channels=in_channels, auxiliary=auxiliary)
