"""A folder, a list and a table each say which images are meant, and no other is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgecnn.datasets.listing import listed_images
from edgecnn.datasets.tables import is_table
from edgecnn.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five pictures, 0.png to 4.png."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(5):
        Image.new("RGB", (4, 4), (40 * index, 0, 0)).save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("two.tsv", "file\tclass\n3.png\t0\n1.png\t7\n"),
        ("two.CSV", "3.png,0\n./x/../1.png,7\n"),
        ("two.txt", "3.png\n\n1.png\n"),
    ],
)
def test_a_table_or_a_list_means_its_rows_alone(photos: Path, name: str, text: str) -> None:
    (photos / name).write_text(text)
    assert listed_images(photos / name) == (photos / "3.png", photos / "1.png")


def test_a_folder_means_all_of_it_and_an_image_itself(photos: Path) -> None:
    assert [path.name for path in listed_images(photos)] == [f"{index}.png" for index in range(5)]
    assert listed_images(photos / "2.png") == (photos / "2.png",)


def test_a_folder_is_no_table_whatever_its_name(photos: Path) -> None:
    folder = photos.rename(photos.with_name("photos.csv"))
    assert not is_table(folder)
    assert len(listed_images(folder)) == 5


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("1.png\t0\nabsent.png\t1\n", r"two\.tsv: line 2: there is no file absent\.png"),
        ("file\tclass\n", r"two\.tsv: no rows in it"),
    ],
)
def test_a_row_without_its_file_is_named(photos: Path, text: str, cause: str) -> None:
    (photos / "two.tsv").write_text(text)
    with pytest.raises(DataError, match=cause):
        listed_images(photos / "two.tsv")


@pytest.mark.parametrize("name", ["absent.tsv", "absent.txt", "absent"])
def test_what_is_not_there_is_named(photos: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        listed_images(photos / name)
