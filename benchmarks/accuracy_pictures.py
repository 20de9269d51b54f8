"""The labelled images that the accuracy of INT8 is measured on, and those to calibrate with."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import PIL.Image

from edgecnn.datasets.digits import load_digits
from edgecnn.datasets.images import read_image
from edgecnn.runtime.preprocess import Image

CIFAR_CALIBRATION_IMAGES = 300

# What each kind of images is evaluated on; all have a subset `calibration` too.
EVALUATED = {"imagenet": ("val", "ccby"), "cifar10": ("test",), "digits": ("held_out",)}


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, uint8 (height, width, 3) RGB, that is read when it is asked for; its class."""

    read: Callable[[], Image]
    label: int


@cache
def data() -> Path:
    """The folder with images and weights; raises SystemExit where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("EDGECNN_TEST_DATA", default))
    if not (folder / "imagenet" / "labels.tsv").is_file():
        raise SystemExit(f"no test data in {folder}: EDGECNN_TEST_DATA names the folder")
    return folder


def pictures(kind: str, subset: str) -> tuple[Picture, ...]:
    """All images of a subset, in an order that never changes."""
    return {"imagenet": _imagenet, "cifar10": _cifar10, "digits": _digits}[kind](subset)


def _imagenet(subset: str) -> tuple[Picture, ...]:
    with (data() / "imagenet" / "labels.tsv").open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = sorted(
            (row for row in table if row["subset"] == subset), key=lambda row: row["file"]
        )
    return tuple(
        Picture(partial(read_image, data() / "imagenet" / row["file"]), int(row["class"]))
        for row in rows
    )


def _cifar10(subset: str) -> tuple[Picture, ...]:
    split = "test" if subset == "test" else "train"
    archive = np.load(data() / "cifar10" / f"cifar10_{split}_jpg.npz")
    blob, offsets, labels = archive["blob"], archive["offsets"], archive["labels"]
    count = len(labels) if subset == "test" else CIFAR_CALIBRATION_IMAGES

    def read(index: int) -> Image:
        jpeg = blob[offsets[index] : offsets[index + 1]].tobytes()
        return np.array(PIL.Image.open(io.BytesIO(jpeg)).convert("RGB"))

    return tuple(Picture(partial(read, index), int(labels[index])) for index in range(count))


def _digits(subset: str) -> tuple[Picture, ...]:
    found = load_digits("calibration" if subset == "calibration" else "held_out")
    return tuple(
        Picture(partial(np.asarray, image), int(label))
        for image, label in zip(found.images, found.labels, strict=True)
    )
