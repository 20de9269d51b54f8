"""Random changes to training images that leave their meaning alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Jitter:
    """How far images are turned, moved and zoomed at most; each image by chance."""

    degrees: float = 0.0
    shift: float = 0.0  # of the image's side
    zoom: float = 0.0  # 0.1: from 0.9 to 1.1 times

    def __call__(self, images: Tensor, *, background: Tensor, generator: torch.Generator) -> Tensor:
        """Images (N, C, H, W) changed; what comes in from outside is `background` (C,)."""
        grid = functional.affine_grid(
            self._matrices(len(images), generator), list(images.shape), align_corners=False
        )
        # Sampling fills with 0, so that the background has to be 0 while it happens.
        fill = background[None, :, None, None]
        return functional.grid_sample(images - fill, grid, align_corners=False) + fill

    def _matrices(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, 2, 3): turn and zoom about the centre, then move."""
        angle, zoom, right, down = torch.rand(4, count, generator=generator) * 2 - 1
        angle = angle * math.radians(self.degrees)
        scale = 1 + zoom * self.zoom
        cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
        # The grid runs from -1 to 1: a whole side is 2.
        rows = (cosine, -sine, right * self.shift * 2), (sine, cosine, down * self.shift * 2)
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
