"""Random views of a photo: another crop, another light, the same meaning."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.runtime.preprocess import Image

_LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R 601
# Deviations and directions of the colours of ImageNet's pixels in units of 0..1, as columns:
# Krizhevsky et al. 2012, section 4.1; the numbers are those of github.com/facebook/fb.resnet.torch.
_COLOR_DEVIATIONS = np.array([0.2175, 0.0188, 0.0045])
_COLOR_DIRECTIONS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
_ERASED = (0.02, 0.2)  # of the area


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a view may be from the photo; all of it is drawn anew for each view.

    `mirror` and `erase` are probabilities; `smallest` is the least share of the area that a crop
    keeps (1: no crop) and `aspect` how far its ratio may be stretched; `color` how far brightness,
    contrast and saturation move; `pca` the deviation of the shift along the colours' principal
    components; `mixup` the alpha of the Beta distribution that blends pairs (0: none).
    """

    mirror: float = 0.0
    smallest: float = 1.0
    aspect: float = 1.0
    degrees: float = 0.0
    color: float = 0.0
    pca: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        shares = self.mirror, self.erase, self.color
        if not (all(0 <= share <= 1 for share in shares) and 0 < self.smallest <= 1):
            raise UsageError(
                f"mirror {self.mirror}, erase {self.erase}, color {self.color} and "
                f"smallest {self.smallest} cannot be",
                hint="shares from 0 to 1; the smallest crop is above 0",
            )
        if not (self.aspect >= 1 and min(self.degrees, self.pca, self.mixup) >= 0):
            raise UsageError(
                f"aspect {self.aspect}, degrees {self.degrees}, pca {self.pca} and "
                f"mixup {self.mixup} cannot be",
                hint="the aspect is 1 or more, the others 0 or more",
            )

    @property
    def crops(self) -> bool:
        """Whether views are smaller parts of the photo."""
        return self.smallest < 1


PHOTOS = Augmentation(mirror=0.5, smallest=0.35, aspect=4 / 3, color=0.2, pca=0.1)
STRONG = dataclasses.replace(PHOTOS, smallest=0.15, degrees=10, color=0.4, erase=0.25, mixup=0.2)
# Mirrored or half cut off, a letter is another one.
TEXT = Augmentation(smallest=0.85, aspect=1.1, degrees=8, color=0.2)
NONE = Augmentation()
AUGMENTATIONS = {"photos": PHOTOS, "strong": STRONG, "text": TEXT, "none": NONE}


def choose_augmentation(labels: tuple[str, ...], spec: Preprocess) -> str:
    """`none` for sounds; `text` where classes are single characters or the network sees gray; else
    `photos`.
    """
    if spec.melspectrogram is not None:
        return "none"
    characters = all(len(label) == 1 for label in labels)
    return "text" if characters or spec.color == "GRAY" else "photos"


def augmented(
    photo: Image, size: tuple[int, int], augmentation: Augmentation, random: Generator
) -> Image:
    """A random view of a photo: uint8 (H, W, 3) to uint8 of `size` (height, width)."""
    values = torch.from_numpy(np.ascontiguousarray(photo)).permute(2, 0, 1).float()
    matrix = torch.tensor(_matrix(photo.shape[:2], augmentation, random), dtype=torch.float32)
    grid = functional.affine_grid(matrix[None], [1, 3, *size], align_corners=False)
    view = functional.grid_sample(
        values[None], grid, padding_mode="reflection", align_corners=False
    )[0]
    view = _recolored(view, augmentation, random)
    if random.random() < augmentation.erase:
        _erase(view, random)
    pixels = view.round_().clamp_(0, 255).to(torch.uint8)
    result: Image = pixels.permute(1, 2, 0).contiguous().numpy()
    return result


def _matrix(
    sides: tuple[int, ...], augmentation: Augmentation, random: Generator
) -> list[list[float]]:
    """From places of the view (-1 to 1) to places of the photo: crop, turn, mirror."""
    area = random.uniform(augmentation.smallest, 1)
    bend = math.log(augmentation.aspect)
    stretch = math.exp(random.uniform(-bend, bend) / 2)
    width, height = (min(1.0, math.sqrt(area) * grow) for grow in (stretch, 1 / stretch))
    right, down = (random.uniform(-1, 1) * (1 - side) for side in (width, height))
    angle = math.radians(random.uniform(-augmentation.degrees, augmentation.degrees))
    sign = -1 if random.random() < augmentation.mirror else 1
    ratio = sides[0] / sides[1]  # so that a turn stays a turn where the photo is no square
    cosine, sine = math.cos(angle), math.sin(angle)
    return [
        [sign * width * cosine, -height * sine * ratio, right],
        [sign * width * sine / ratio, height * cosine, down],
    ]


def _recolored(view: Tensor, augmentation: Augmentation, random: Generator) -> Tensor:
    """Another brightness, contrast and saturation, then a shift of colours, (3, H, W)."""
    reach = augmentation.color
    bright, contrast, saturation = random.uniform(1 - reach, 1 + reach, 3)
    if reach:
        view = view * bright
        gray = torch.tensordot(_LUMA, view, dims=1)
        view = gray + (view - gray) * saturation
        view = gray.mean() + (view - gray.mean()) * contrast
    if augmentation.pca:
        steps = random.normal(0, augmentation.pca, 3)
        shift = 255 * _COLOR_DIRECTIONS @ (steps * _COLOR_DEVIATIONS)
        view = view + torch.tensor(shift, dtype=torch.float32)[:, None, None]
    return view


def _erase(view: Tensor, random: Generator) -> None:
    """Paint a rectangle of 2 to 20 % of the area in the view's mean colour (Zhong et al. 2017,
    Random erasing data augmentation, https://arxiv.org/abs/1708.04896).
    """
    height, width = view.shape[1:]
    area, stretch = random.uniform(*_ERASED), math.exp(random.uniform(-0.6, 0.6))
    tall, wide = (
        max(1, min(side, round(side * math.sqrt(area) * grow)))
        for side, grow in ((height, stretch), (width, 1 / stretch))
    )
    top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
    view[:, top : top + tall, left : left + wide] = view.mean(dim=(1, 2))[:, None, None]
