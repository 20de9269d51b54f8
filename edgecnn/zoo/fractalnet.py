"""FractalNet. Larsson, Maire, Shakhnarovich: FractalNet: ultra-deep neural networks without
residuals, ICLR 2017, arXiv:1605.07648.

The idea: depth without shortcuts. A block is one convolution beside two copies of the next smaller
block, their maps averaged: paths of 1, 2, 4... convolutions side by side, and the short ones teach
the long ones.

Table of sizes (the paper's 20-layer network for CIFAR), from 32x32; C = 3 columns:

    block      1   2    3    4    5
    channels   64  128  256  512  512    then a 2x2 max pool; after the last, the map is 1x1
    side       32  16   8    4    2
    dropout    0   0.1  0.2  0.3  0.4

These sizes, the paper's, make 33.7 million parameters; DenseNet's paper lists it with 38.6.

In training, drop-path: for half of the batches only one column of the whole network is used, for
the others every join leaves out each of its paths with a probability of 0.15, never all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize

_CHANNELS = (64, 128, 256, 512, 512)
_DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)
_COLUMNS = 3
_LEFT_OUT = 0.15
_GLOBAL_SHARE = 0.5


def _conv(in_channels: int, out_channels: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.Dropout(dropout),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class FractalBlock(nn.Module):
    """Columns of 1, 2, 4... convolutions, joined by their mean wherever several of them end."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.columns = nn.ModuleList(
            nn.ModuleList(
                _conv(out_channels if index else in_channels, out_channels, dropout)
                for index in range(2**column)
            )
            for column in range(_COLUMNS)
        )

    def forward(self, maps: Tensor, only: int | None) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H, W); `only` one column, or all."""
        columns = tuple(range(_COLUMNS)) if only is None else (only,)
        steps = 2 ** (_COLUMNS - 1)
        inputs = dict.fromkeys(columns, maps)
        for step in range(1, steps + 1):
            # A column's convolution spans as many steps as the deepest column has for it.
            ending = [column for column in columns if step % (steps >> column) == 0]
            if not ending:
                continue
            joined = [self._convolve(column, step, inputs[column]) for column in self._kept(ending)]
            mean = sum(joined[1:], start=joined[0]) / len(joined)
            inputs.update(dict.fromkeys(ending, mean))
        return inputs[columns[0]]

    def _convolve(self, column: int, step: int, maps: Tensor) -> Tensor:
        span = 2 ** (_COLUMNS - 1) >> column
        result: Tensor = self.get_submodule(f"columns.{column}.{step // span - 1}")(maps)
        return result

    def _kept(self, ending: list[int]) -> list[int]:
        """The paths that a join keeps: all of them, except in training."""
        if not self.training:
            return ending
        kept = [column for column in ending if float(torch.rand(())) >= _LEFT_OUT]
        return kept or [ending[int(torch.randint(len(ending), ()))]]


class FractalNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); H and W at least 32."""

    def __init__(self, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        before = (in_channels, *_CHANNELS)
        self.blocks = nn.ModuleList(
            FractalBlock(*sizes) for sizes in zip(before, _CHANNELS, _DROPOUT, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(_CHANNELS[-1], num_classes)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        only = self._column()
        maps = images
        for block in self.blocks:
            maps = self.pool(block(maps, only))
        if maps.shape[-2:] != (1, 1):
            maps = self.avgpool(maps)
        logits: Tensor = self.fc(torch.flatten(maps, 1))
        return logits

    def _column(self) -> int | None:
        """The one column that this batch uses, or None for all of them."""
        if not self.training or float(torch.rand(())) >= _GLOBAL_SHARE:
            return None
        return int(torch.randint(_COLUMNS, ()))


def fractalnet(*, num_classes: int = 10, in_channels: int = 3) -> FractalNet:
    """FractalNet with 20 layers on its deepest path, for 32x32 images."""
    return FractalNet(num_classes=num_classes, in_channels=in_channels)
