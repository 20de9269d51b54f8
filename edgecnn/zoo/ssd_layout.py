"""Where SSD's answers lie: its maps, their cells, and the default boxes in each cell.

Liu et al. 2016, arXiv:1512.02325, section 2.2; the numbers are those of torchvision's weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgecnn.detection import BoxMap
from edgecnn.errors import UsageError

_FIRST_STEP = 16
_SIDE = 300
_SIDES = (38, 19, 10, 5, 3, 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """The maps that predict: their channels, the boxes of a cell by their ratios, the boxes' scales
    as shares of the image (one more than there are maps), and by how much of their union two boxes
    may overlap before one is dropped.

    `steps` are the pixels from one cell to the next, of images of 300x300; without them, the first
    cells are 16 pixels apart, and from map to map twice as many.
    """

    channels: tuple[int, ...]
    ratios: tuple[tuple[int, ...], ...]
    scales: tuple[float, ...]
    iou_threshold: float
    steps: tuple[int, ...] = ()

    @property
    def boxes(self) -> tuple[int, ...]:
        """How many boxes a cell of each map has: two squares, a wide and a tall one per ratio."""
        return tuple(2 + 2 * len(ratios) for ratios in self.ratios)

    def box_maps(self, size: tuple[int, int]) -> tuple[BoxMap, ...]:
        """The maps for images of (height, width); raises UsageError for images that do not fit."""
        return tuple(
            BoxMap(grid, cells, tuple(self._shapes(index)))
            for index, (grid, cells) in enumerate(self._cells(size))
        )

    def _cells(
        self, size: tuple[int, int]
    ) -> Iterator[tuple[tuple[int, int], tuple[float, float]]]:
        """Rows and columns of each map, and how many of them would fill the image."""
        if not self.steps:
            rows, columns = (-(-side // _FIRST_STEP) for side in size)
            for _ in self.channels:
                yield (rows, columns), (rows, columns)
                rows, columns = -(-rows // 2), -(-columns // 2)
            return
        if size != (_SIDE, _SIDE):
            raise UsageError(
                f"its boxes are made for {_SIDE}x{_SIDE} pixels, not {size}",
                hint="leave --size away, or take ssdlite320_mobilenetv3",
            )
        for side, step in zip(_SIDES, self.steps, strict=True):
            yield (side, side), (_SIDE / step, _SIDE / step)

    def _shapes(self, index: int) -> Iterator[tuple[float, float]]:
        """Width and height of the boxes of a cell: two squares, then each ratio wide and tall."""
        scale, following = self.scales[index : index + 2]
        for side in (scale, math.sqrt(scale * following)):
            yield min(side, 1.0), min(side, 1.0)
        for ratio in self.ratios[index]:
            long, short = min(scale * math.sqrt(ratio), 1.0), scale / math.sqrt(ratio)
            yield long, short
            yield short, long


SSD300 = Layout(
    channels=(512, 1024, 512, 256, 256, 256),
    ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    iou_threshold=0.45,
    steps=(8, 16, 32, 64, 100, 300),
)
SSDLITE320 = Layout(
    channels=(672, 480, 512, 256, 256, 128),
    ratios=((2, 3),) * 6,
    scales=(0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0),
    iou_threshold=0.55,
)
