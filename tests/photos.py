"""Small photos of classes that a network can tell apart: coloured shapes, a folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from edgecnn.runtime.preprocess import Image

SHAPES = ("bar", "ball", "stripes")


def shape(kind: str, seed: int, *, side: int = 48) -> Image:
    """One picture: a shape in a random place, light and colour, on a rough background."""
    random = np.random.default_rng((SHAPES.index(kind), seed))
    ground = np.kron(random.uniform(0, 90, (6, 6, 3)), np.ones((side // 6, side // 6, 1)))
    rows, columns = np.mgrid[:side, :side]
    top, left = random.uniform(0.35, 0.65, 2) * side
    across, down = columns - left, rows - top
    masks = {
        "bar": np.abs(across) < side * 0.12,
        "ball": across**2 + down**2 < (side * 0.25) ** 2,
        "stripes": (rows + int(top)) % 8 < 4,
    }
    color = random.uniform(140, 255, 3)
    image = np.where(masks[kind][:, :, None], color, ground)
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def write_photos(folder: Path, each: int | tuple[int, ...] = 12) -> Path:
    """A folder per shape with so many pictures of it."""
    counts = (each,) * len(SHAPES) if isinstance(each, int) else each
    for kind, count in zip(SHAPES, counts, strict=True):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in range(count):
            PIL.Image.fromarray(shape(kind, seed)).save(folder / kind / f"{seed}.png")
    return folder
