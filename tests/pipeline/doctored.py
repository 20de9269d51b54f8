"""Sets of images with something wrong, and what the doctor says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecnn.datasets.natural import natural_image
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.doctor import CheckOptions, Checkup, check_calibration
from edgecnn.pipeline.findings import findings

Pixels = NDArray[np.uint8]
SIDE = 16
PLAIN = ContractOptions(mean=(0.5,), std=(0.25,))


def write(
    folder: Path, count: int, *, seed: int = 0, change: Callable[[Pixels], Pixels] | None = None
) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = natural_image(index, height=48, width=64, seed=seed)
        Image.fromarray(change(pixels) if change else pixels).save(folder / f"{index:02}.png")
    return folder


def warm(pixels: Pixels) -> Pixels:
    return np.stack([pixels[..., 0] // 2 + 120, pixels[..., 1], pixels[..., 2] // 2], axis=2)


def noise(pixels: Pixels) -> Pixels:
    random = np.random.default_rng(int(pixels.sum()))
    return random.integers(0, 256, pixels.shape).astype(np.uint8)


def check(source: Path, **options: object) -> Checkup:
    chosen = replace(CheckOptions(contract=PLAIN), **options)  # type: ignore[arg-type]
    return check_calibration(str(source), options=chosen)


def told(checkup: Checkup, label: str) -> str:
    return next(found.text for found in findings(checkup) if found.label == label)


def warnings(checkup: Checkup) -> dict[str, str]:
    return {found.label: found.warning for found in findings(checkup) if found.warning}
