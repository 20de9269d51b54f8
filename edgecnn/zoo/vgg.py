"""VGG. Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition,
ICLR 2015, arXiv:1409.1556.

The idea: depth from one brick. Stacked 3x3 convolutions see as far as one large kernel, with fewer
weights and more non-linearities between them; every pooling halves the map and doubles the width.

Table of sizes (the paper's table 1), convolutions in each stage, from 224x224; 3 and 1 are their
kernels, each stage ends with a 2x2 max pool, head: 4096-4096-classes:

    stage              1 (64, 224)  2 (128, 112)  3 (256, 56)  4 (512, 28)  5 (512, 14)
    vgg11      A       3            3             3 3          3 3          3 3
    vgg11_lrn  A-LRN   3 LRN        3             3 3          3 3          3 3
    vgg13      B       3 3          3 3           3 3          3 3          3 3
    vgg16_c    C       3 3          3 3           3 3 1        3 3 1        3 3 1
    vgg16      D       3 3          3 3           3 3 3        3 3 3        3 3 3
    vgg19      E       3 3          3 3           3 3 3 3      3 3 3 3      3 3 3 3

The _bn forms have a batch norm after each convolution. Parameter names are torchvision's, so its
checkpoints load. `small_input` is the variant for images of 32x32: the last map is 1x1 there, so
the head shrinks to 512-512-classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import initialize, scale_channels

_STAGE_CHANNELS = (64, 128, 256, 512, 512)

# Layers of each stage: 3 and 1 are convolutions, L is local response normalization, N batch norm.
VGG11 = ("3", "3", "33", "33", "33")
VGG11_LRN = ("3L", "3", "33", "33", "33")
VGG13 = ("33", "33", "33", "33", "33")
VGG16_C = ("33", "33", "331", "331", "331")
VGG16 = ("33", "33", "333", "333", "333")
VGG19 = ("33", "33", "3333", "3333", "3333")


def _with_batch_norm(stages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(stage.replace("3", "3N") for stage in stages)


class VGG(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); H and W are multiples of 32."""

    def __init__(
        self,
        stages: tuple[str, ...],
        *,
        num_classes: int = 1000,
        width: float = 1.0,
        in_channels: int = 3,
        small_input: bool = False,
    ) -> None:
        super().__init__()
        channels = scale_channels(_STAGE_CHANNELS[-1], width)
        hidden = scale_channels(512 if small_input else 4096, width)
        self.map_side = 1 if small_input else 7
        self.features = nn.Sequential(*vgg_features(stages, width=width, in_channels=in_channels))
        self.avgpool = nn.AdaptiveAvgPool2d(self.map_side)
        self.classifier = nn.Sequential(
            nn.Linear(channels * self.map_side**2, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, num_classes),
        )
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        maps = self.features(images)
        # At the size the network was made for, the pool would only copy: keep it out of the export.
        if maps.shape[-2:] != (self.map_side, self.map_side):
            maps = self.avgpool(maps)
        logits: Tensor = self.classifier(torch.flatten(maps, 1))
        return logits


def vgg_features(
    stages: tuple[str, ...], *, width: float = 1.0, in_channels: int = 3
) -> Iterator[nn.Module]:
    """The layers before the classifier."""
    for stage, count in zip(stages, _STAGE_CHANNELS, strict=True):
        channels = scale_channels(count, width)
        for layer, following in zip(stage, f"{stage[1:]} ", strict=True):
            if layer in "31":
                kernel = int(layer)
                yield nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
                in_channels = channels
            if layer == "N":
                yield nn.BatchNorm2d(channels)
            if layer == "L":
                yield nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
            elif following != "N":
                yield nn.ReLU()
        yield nn.MaxPool2d(2)


vgg11 = partial(VGG, VGG11)
vgg11_lrn = partial(VGG, VGG11_LRN)
vgg11_bn = partial(VGG, _with_batch_norm(VGG11))
vgg13 = partial(VGG, VGG13)
vgg13_bn = partial(VGG, _with_batch_norm(VGG13))
vgg16_c = partial(VGG, VGG16_C)
vgg16 = partial(VGG, VGG16)
vgg16_bn = partial(VGG, _with_batch_norm(VGG16))
vgg19 = partial(VGG, VGG19)
vgg19_bn = partial(VGG, _with_batch_norm(VGG19))
