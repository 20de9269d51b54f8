"""U-Net. Ronneberger, Fischer, Brox: U-Net: convolutional networks for biomedical image
segmentation, MICCAI 2015, arXiv:1505.04597.

The idea: go down to see what is there, come up again to say where. On the way up, each level gets
the maps of its own size from the way down, which still know the exact places.

Table of sizes (the paper's figure 1), from a grey image of 572x572; a level is two 3x3 convolutions
without padding, so that the answer, 388x388, is for the middle of the image:

    level     1 (64)  2 (128)  3 (256)  4 (512)  5 (1024)
    down      568     280      136      64       28         2x2 max pool between
    up        388     196      104      56                  2x2 transposed convolution between
    1x1 -> classes at every pixel

`padded` pads the convolutions, for an answer as large as the image; its sides are then multiples
of 16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecnn.errors import UsageError
from edgecnn.zoo.blocks import initialize, scale_channels

_CHANNELS = (64, 128, 256, 512, 1024)
_FINEST = 16  # pixels that four pools make one of
_BORDER = 124  # what the way down loses without padding, modulo those
_LEAST = {False: 64, True: 16}


def _level(in_channels: int, out_channels: int, padding: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=padding),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=padding),
        nn.ReLU(),
    )


class Up(nn.Module):
    """Twice the sides and half the channels, beside the maps of that size from the way down."""

    def __init__(self, channels: int, padding: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.level = _level(2 * channels, channels, padding)

    def forward(self, maps: Tensor, earlier: Tensor) -> Tensor:
        """Maps (N, 2 * channels, H, W) and the larger ones to (N, channels, ...)."""
        maps = self.upsample(maps)
        height, width = maps.shape[2:]
        top, left = (earlier.shape[2] - height) // 2, (earlier.shape[3] - width) // 2
        middle = earlier[:, :, top : top + height, left : left + width]
        result: Tensor = self.level(torch.cat([middle, maps], 1))
        return result


class UNet(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes, H - 184, W - 184).

    `width` scales the channels of all levels. Without padding, the sides are 16 * k + 124 with k
    at least 4 (188, 204 ... 572).
    """

    def __init__(self, *, num_classes: int, in_channels: int, padded: bool, width: float) -> None:
        super().__init__()
        padding = int(padded)
        self.padded = padded
        levels = tuple(scale_channels(channels, width) for channels in _CHANNELS)
        self.down = nn.ModuleList(
            _level(*channels, padding)
            for channels in zip((in_channels, *levels), levels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.5)
        self.up = nn.ModuleList(Up(channels, padding) for channels in reversed(levels[:-1]))
        self.classifier = nn.Conv2d(levels[0], num_classes, 1)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of each pixel's classes; raises UsageError for sides that do not fit."""
        _check_sides((images.shape[2], images.shape[3]), padded=self.padded)
        earlier: list[Tensor] = []
        maps = images
        for level in self.down:
            maps = level(self.pool(maps) if earlier else maps)
            earlier.append(maps)
        maps = self.dropout(earlier.pop())
        for up in self.up:
            maps = up(maps, earlier.pop())
        logits: Tensor = self.classifier(maps)
        return logits


def _check_sides(sides: tuple[int, int], *, padded: bool) -> None:
    """Every pool halves its maps exactly, and the lowest level keeps a pixel."""
    border = 0 if padded else _BORDER
    if all(
        side % _FINEST == border % _FINEST and side >= border + _LEAST[padded] for side in sides
    ):
        return
    height, width = sides
    rule = "a multiple of 16" if padded else "16 k + 124 pixels, k at least 4: 188, 204 ... 572"
    raise UsageError(f"U-Net does not fit images of {height}x{width}", hint=f"a side is {rule}")


def unet(
    *, num_classes: int = 2, in_channels: int = 1, padded: bool = False, width: float = 1.0
) -> UNet:
    """U-Net; the paper's has no padding."""
    return UNet(num_classes=num_classes, in_channels=in_channels, padded=padded, width=width)
