"""What a stream notices of pictures that are not like those that a file was calibrated with.

    python -m benchmarks.drift FILE.int8.onnx PHOTOS [IMAGES]

Photos that the file has not seen, as they are and changed in ways in which cameras go wrong: the
share of them outside of what was usual, by each thing that is compared, beside the share of them
that get another name than unchanged. A stream speaks where it is more than half.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.datasets.images import image_paths, read_image
from edgecnn.runtime import Model, load
from edgecnn.runtime.drift import DriftWatch
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.ranges import told, usual_ranges_of
from edgecnn.runtime.rangewatch import Gauge

_NOISE = np.random.default_rng(0)


def _light(factor: float, more: float) -> Callable[[Image], Image]:
    def changed(image: Image) -> Image:
        return _pixels(image * np.float32(factor) + more)

    return changed


def _pixels(values: NDArray[np.floating]) -> Image:
    pixels: Image = np.clip(values, 0, 255).astype(np.uint8)
    return pixels


def _thermal(image: Image) -> Image:
    warm = image.mean(axis=2)
    return _pixels(np.stack([warm, 255 - warm, np.zeros_like(warm)], axis=2))


CHANGES: dict[str, Callable[[Image], Image]] = {
    "as they are": lambda image: image,
    "in the dark: 0.15 of the light": _light(0.15, 0),
    "in fog: 0.3 of the contrast": _light(0.3, 90),
    "overexposed: 3 times the light": _light(3, 60),
    "a sensor's noise": lambda image: _pixels(image + _NOISE.normal(0, 30, image.shape)),
    "noise alone": lambda image: _NOISE.integers(0, 256, image.shape, dtype=np.uint8),
    "in false colours": _thermal,
    "red and blue swapped": lambda image: image[:, :, ::-1],
    "negative": lambda image: 255 - image,
}


def measure(model: Model, gauge: Gauge, images: Sequence[Image]) -> tuple[list[int], list[float]]:
    """The classes of the images, and which share of them is outside, by each thing compared."""
    usuals, watch = usual_ranges_of(model.contract), DriftWatch(model.contract)
    names, found = [], []
    for image in images:
        tensor = model.preprocess(image)
        outputs = model.outputs(tensor)
        names.append(int(outputs[0].argmax()))
        apart = watch.compared(model.glance(tensor, outputs))
        found.append((*apart, bool(told(usuals, [gauge.read(tensor)]))))
    return names, np.mean(found, axis=0).tolist()


def main(file: Path, folder: Path, count: int) -> None:
    """Measure all changes and print a table."""
    every = max(1, len(image_paths(folder)) // count)
    images = [read_image(path) for path in islice(image_paths(folder), 0, count * every, every)]
    with load(file, threads=1) as model:
        inners = [usual.inner for usual in usual_ranges_of(model.contract)]
        with contextlib.closing(Gauge(file, inners)) as gauge:
            print(f"{'':<32}light  contrast  colour  confidence  ranges  named otherwise")
            usual_names, _ = measure(model, gauge, images)
            for name, change in CHANGES.items():
                names, shares = measure(model, gauge, [change(image) for image in images])
                other = np.mean(np.array(names) != usual_names)
                row = "".join(f"{share:>9.0%}" for share in (*shares, other))
                print(f"{name:<32}{row}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 100)
