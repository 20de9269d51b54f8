"""The calibration doctor finds what is wrong with a set, and says what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.errors import DataError, RecipeError
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.findings import short_line, verdict
from tests.pipeline.doctored import Pixels, check, noise, told, warnings, write


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("photos") / "set", 32)


def again(source: Path, target: Path) -> None:
    """The same picture in other bytes."""
    Image.open(source).save(target, quality=95)


def test_a_good_set_is_good(photos: Path) -> None:
    found = check(photos)
    assert verdict(found) == "ok"
    assert told(found, "images") == f"32 from {photos}"
    assert told(found, "different") == "no near-duplicates, 32 different scenes"
    assert found.sha256 == find_calibration(str(photos)).sha256
    assert short_line(found) == "32 images, no near-duplicates"


def test_near_duplicates_are_named(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    for index in range(5):
        again(photos / f"{index:02}.png", tmp_path / "set" / f"z{index}.jpg")
    found = check(tmp_path / "set")
    assert found.near_duplicates == tuple(f"z{index}.jpg" for index in range(5))
    assert "5 near-duplicates (z0.jpg, z1.jpg, …)" in told(found, "different")
    assert "teach nothing new" in warnings(found)["different"]
    assert found.problem is None


def test_images_of_the_evaluation_set_are_found(photos: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "labelled", 8, seed=9)
    assert told(check(photos, against=other), "overlap") == f"none of them in {other} (8 images)"
    shutil.copy(photos / "03.png", other / "0_same.png")
    again(photos / "05.png", other / "0_nearly.jpg")
    found = check(photos, against=other)
    assert found.overlap is not None
    assert (found.overlap.exact, found.overlap.near) == (1, 1)
    assert found.overlap.shared == ("03.png", "05.png")
    assert "2 calibration images also in" in warnings(found)["overlap"]
    assert short_line(found) == "32 images, no near-duplicates, 2 of them in labelled"


def test_of_a_table_only_the_files_that_it_lists_are_compared(photos: Path, tmp_path: Path) -> None:
    write(tmp_path / "labelled", 3, seed=9)
    beside = tmp_path / "val.tsv"
    listed = sorted((tmp_path / "labelled").iterdir())
    beside.write_text("".join(f"{path}\t0\n" for path in listed), encoding="utf-8")
    assert told(check(photos, against=beside), "overlap") == f"none of them in {beside} (3 images)"
    with beside.open("a", encoding="utf-8") as table:
        table.write(f"{photos / '03.png'}\t1\n")
    found = check(photos, against=beside)
    assert found.overlap is not None
    assert found.overlap.shared == ("03.png",)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda pixels: pixels // 8, "very dark"),
        (lambda pixels: 255 - pixels // 8, "very bright"),
        (lambda pixels: pixels // 16 + 120, "little contrast"),
    ],
)
def test_bad_light_is_seen(change: Callable[[Pixels], Pixels], what: str, tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 20, change=change))
    assert what in warnings(found)["light"]
    assert verdict(found) == "warnings"


def test_all_that_cannot_be_read_is_listed_and_the_rest_looked_at(
    photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "set")
    for name in ("02.png", "04.png"):
        (tmp_path / "set" / name).write_bytes(b"no picture")
    found = check(tmp_path / "set")
    assert verdict(found) == "refused"
    assert found.images == 30
    assert "2 images cannot be read" in warnings(found)["images"]
    assert "04.png" in warnings(found)["images"]


@pytest.mark.parametrize("color", [0, 90, 255])
def test_images_of_one_colour_are_hopeless(color: int, tmp_path: Path) -> None:
    flat = write(tmp_path / "set", 20, change=lambda pixels: np.full_like(pixels, color))
    found = check(flat)
    assert "19 of 20 images are near-duplicates" in str(found.problem)
    assert found.light is not None
    assert len(found.light.flat) == 20


def test_too_few_are_hopeless_and_looked_at_all_the_same(tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 5))
    assert "5 images; 16 different ones are the least" in str(found.problem)
    assert told(found, "different") == "no near-duplicates, 5 different scenes"
    with pytest.raises(DataError, match="5 images"):
        find_calibration(str(tmp_path / "set"))


def test_a_folder_of_noise_is_hopeless(tmp_path: Path) -> None:
    found = check(write(tmp_path / "set", 20, change=noise))
    assert verdict(found) == "refused"
    assert "20 of 20 images are noise" in str(found.problem)
    with pytest.raises(DataError, match="20 of 20 images are noise") as refused:
        find_calibration(str(tmp_path / "set"))
    assert "--calibration random" in refused.value.hint


def test_single_images_of_noise_are_warned_of(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    write(tmp_path / "noise", 2, change=noise)
    for index in range(2):
        shutil.copy(tmp_path / "noise" / f"0{index}.png", tmp_path / "set" / f"z{index}.png")
    found = check(tmp_path / "set")
    assert found.problem is None
    assert warnings(found) == {"light": "2 images of pure noise (z0.png, z1.png): take them out"}


def test_a_set_that_is_not_what_its_file_says_is_refused(photos: Path, tmp_path: Path) -> None:
    described = tmp_path / "set.toml"
    described.write_text(f'source = "{photos}"\nsha256 = "{"0" * 64}"\n')
    assert "not the ones it was written for" in str(check(described).problem)
    described.write_text(f'source = "{photos}"\nsha256 = "{check(photos).sha256}"\n')
    assert check(described).problem is None
    for line in ("seed = -1", "count = true", "licence = 3"):
        described.write_text(f'source = "{photos}"\n{line}\n')
        with pytest.raises(RecipeError, match=line.partition(" ")[0]):
            check(described)
