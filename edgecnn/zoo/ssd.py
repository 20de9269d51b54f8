"""SSD. Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg: SSD: single shot multibox detector, ECCV
2016, arXiv:1512.02325; SSDLite: Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381.

The idea: one pass, no proposals. Every cell of six maps, from fine to coarse, says for a few boxes
of fixed shape around it which class is there and how the box has to move.

Table of sizes: the maps that predict, channels and side, and boxes in each of their cells:

    ssd300_vgg16            512, 38  1024, 19  512, 10  256, 5  256, 3  256, 1
                            4        6         6        6       4       4        8732 boxes
    ssdlite320_mobilenetv3  672, 20   480, 10  512,  5  256, 3  256, 2  128, 1
                            6        6         6        6       6       6        3234 boxes

The answer is raw: class logits (the first class is background) and box offsets of every default
box. `SSD.detection` says which boxes those are; decoding the offsets and dropping the overlaps is
no part of the network. Parameter names are torchvision's, so its checkpoints load.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.detection import Detection
from edgecnn.zoo.blocks import ConvNorm, initialize, set_norms
from edgecnn.zoo.mobilenetv3 import mobilenetv3_large_reduced
from edgecnn.zoo.ssd_layout import SSD300, SSDLITE320, Layout
from edgecnn.zoo.vgg import VGG16, vgg_features

_NORM_SCALE = 20.0

_LITE_SPLIT = 13  # the block with the last stride of the backbone
_LITE_BN_EPSILON = 1e-3
_LITE_BN_MOMENTUM = 0.03


class VggBackbone(nn.Module):
    """VGG-16 without its end, and four smaller maps."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.scale_weight = nn.Parameter(torch.full((512,), _NORM_SCALE))
        layers = list(vgg_features(VGG16, in_channels=in_channels))
        layers[16] = nn.MaxPool2d(2, ceil_mode=True)  # 75 pixels to 38, as in the paper
        self.features = nn.Sequential(*layers[:23])
        wide = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.ReLU(),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(),
        )
        self.extra = nn.ModuleList(
            [
                nn.Sequential(*layers[23:30], wide),
                _smaller(1024, 512, stride=2),
                _smaller(512, 256, stride=2),
                _smaller(256, 256, stride=1),
                _smaller(256, 256, stride=1),
            ]
        )

    def reset_parameters(self) -> None:
        """Give the first map's scale the value that the paper begins with."""
        nn.init.constant_(self.scale_weight, _NORM_SCALE)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The six maps of a batch of images."""
        maps = self.features(images)
        # The first map comes from deep inside VGG, with values far larger than the others'.
        found = [functional.normalize(maps) * self.scale_weight.view(1, -1, 1, 1)]
        for block in self.extra:
            maps = block(maps)
            found.append(maps)
        return found


def _smaller(in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels // 2, 1),
        nn.ReLU(),
        nn.Conv2d(channels // 2, channels, 3, stride, padding=int(stride == 2)),
        nn.ReLU(),
    )


class MobileBackbone(nn.Module):
    """MobileNetV3-Large with a narrow end, cut inside a block, and four smaller maps."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        layers = mobilenetv3_large_reduced(in_channels)
        block = layers[_LITE_SPLIT].get_submodule("block")
        assert isinstance(block, nn.Sequential)
        # The first map is the block's input, widened.
        self.features = nn.Sequential(
            nn.Sequential(*layers[:_LITE_SPLIT], block[0]),
            nn.Sequential(block[1:], *layers[_LITE_SPLIT + 1 :]),
        )
        self.extra = nn.ModuleList(
            _smaller_lite(*channels) for channels in itertools.pairwise(SSDLITE320.channels[1:])
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The six maps of a batch of images."""
        found = []
        maps = images
        for part in (*self.features, *self.extra):
            maps = part(maps)
            found.append(maps)
        return found


def _smaller_lite(in_channels: int, channels: int) -> nn.Sequential:
    narrow = channels // 2
    return nn.Sequential(
        ConvNorm(in_channels, narrow, 1, activation=nn.ReLU6),
        ConvNorm(narrow, narrow, 3, stride=2, groups=narrow, activation=nn.ReLU6),
        ConvNorm(narrow, channels, 1, activation=nn.ReLU6),
    )


def _predict_lite(channels: int, outputs: int) -> nn.Module:
    depthwise = ConvNorm(channels, channels, 3, groups=channels, activation=nn.ReLU6)
    return nn.Sequential(depthwise, nn.Conv2d(channels, outputs, 1))


def _predict(channels: int, outputs: int) -> nn.Module:
    return nn.Conv2d(channels, outputs, 3, padding=1)


class Predictions(nn.Module):
    """`columns` numbers for every box of every cell of every map."""

    def __init__(self, layers: Iterator[nn.Module], columns: int) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(layers)
        self.columns = columns

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Six maps (N, channels, H, W) to (N, boxes, columns), in the default boxes' order."""
        rows = []
        for layer, found in zip(self.module_list, maps, strict=True):
            images, channels, height, width = (answers := layer(found)).shape
            boxes = height * width * channels // self.columns
            # The boxes of a cell lie in the channels, each with its own columns.
            rows.append(answers.permute(0, 2, 3, 1).reshape(images, boxes, self.columns))
        return torch.cat(rows, 1)


class SSD(nn.Module):
    """Images (N, in_channels, H, W) to class logits (N, boxes, num_classes) and the offsets of
    the default boxes (N, boxes, 4): dx, dy in tenths of the box, dw, dh in fifths, as logarithms.
    """

    def __init__(
        self,
        backbone: nn.Module,
        predict: Callable[[int, int], nn.Module],
        *,
        layout: Layout,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layout = layout
        self.backbone = backbone
        self.head = nn.Module()
        for name, columns in (("classification_head", num_classes), ("regression_head", 4)):
            layers = (
                predict(channels, count * columns)
                for channels, count in zip(layout.channels, layout.boxes, strict=True)
            )
            self.head.add_module(name, Predictions(layers, columns))
        initialize(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and box offsets of every default box."""
        maps = self.backbone(images)
        logits: Tensor = self.head.get_submodule("classification_head")(maps)
        offsets: Tensor = self.head.get_submodule("regression_head")(maps)
        return logits, offsets

    def detection(self, size: tuple[int, int]) -> Detection:
        """What turns the answers for images of (height, width) into boxes; raises UsageError."""
        return Detection(
            decoder="ssd",
            activation="softmax",
            background=0,
            iou_threshold=self.layout.iou_threshold,
            maps=self.layout.box_maps(size),
        )


def ssd300_vgg16(*, num_classes: int = 91, in_channels: int = 3) -> SSD:
    """SSD on VGG-16 for 300x300 images; `num_classes` counts the background."""
    return SSD(
        VggBackbone(in_channels),
        _predict,
        layout=SSD300,
        num_classes=num_classes,
    )


def ssdlite320_mobilenetv3(*, num_classes: int = 91, in_channels: int = 3) -> SSD:
    """SSDLite on MobileNetV3-Large for 320x320 images; `num_classes` counts the background."""
    network = SSD(
        MobileBackbone(in_channels),
        _predict_lite,
        layout=SSDLITE320,
        num_classes=num_classes,
    )
    set_norms(network, epsilon=_LITE_BN_EPSILON, momentum=_LITE_BN_MOMENTUM)
    return network
