"""Photos by class are found, looked at and split so that no scene stands on both sides."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from edgecnn.datasets.classes import ClassNames
from edgecnn.datasets.classified import open_classified
from edgecnn.datasets.duplicates import kindred
from edgecnn.datasets.parts import split_parts
from edgecnn.errors import DataError, UsageError
from tests.photos import SHAPES, shape, write_photos


def test_a_folder_per_class_gives_the_classes_their_names(tmp_path: Path) -> None:
    photos = open_classified(write_photos(tmp_path, (3, 4, 5)))
    assert photos.labels == ("ball", "bar", "stripes")
    assert photos.counts.tolist() == [4, 3, 5]
    assert [path.parent.name for path in photos.paths] == [
        photos.labels[index] for index in photos.classes
    ]


def test_classes_can_be_chosen_in_the_order_of_the_outputs(tmp_path: Path) -> None:
    photos = open_classified(write_photos(tmp_path, 3), classes=("stripes", "bar"))
    assert photos.labels == ("stripes", "bar")
    assert photos.counts.tolist() == [3, 3]


def test_a_table_names_files_and_classes(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    rows = [f"{kind}/{seed}.png\t{kind[0].upper()}" for kind in SHAPES for seed in range(2)]
    (tmp_path / "labels.tsv").write_text("file\tclass\n" + "\n".join(rows))
    for source in (tmp_path, tmp_path / "labels.tsv"):
        photos = open_classified(source)
        assert photos.labels == ("B", "S")
        assert photos.counts.tolist() == [4, 2]


def test_broken_files_are_named_and_left_out(tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    (tmp_path / "bar" / "1.png").write_bytes(b"no image")
    photos = open_classified(tmp_path)
    assert photos.counts.tolist() == [3, 2, 3]
    assert len(photos.broken) == 1
    assert "bar/1.png" in str(photos.broken[0])


def test_what_cannot_be_learnt_is_refused(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    with pytest.raises(DataError, match="no photos of 'cat'"):
        open_classified(tmp_path, classes=("bar", "cat"))
    with pytest.raises(DataError, match="named twice"):
        open_classified(tmp_path, classes=("bar", "bar"))
    with pytest.raises(DataError, match="1 class;"):
        open_classified(tmp_path, classes=("bar",))
    for seed in range(2):
        (tmp_path / "bar" / f"{seed}.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of the files of 'bar' can be used"):
        open_classified(tmp_path)


def test_a_file_that_no_list_can_name_is_left_out(tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    for seed, name in enumerate((os.fsdecode(b"\xe4.png"), "a\tb.png", "a\u2028b.png")):
        (tmp_path / "bar" / f"{seed}.png").rename(tmp_path / "bar" / name)
    write_photos(tmp_path, 3)
    photos = open_classified(tmp_path)
    assert photos.counts.tolist() == [3, 3, 3]
    said = " ".join(map(str, photos.broken)).encode().decode()
    assert "bar/\N{REPLACEMENT CHARACTER}.png: its name is not UTF-8" in said
    assert said.count("a tab or a line break in its name") == 2


def test_an_umlaut_is_one_class_however_it_is_spelt(tmp_path: Path) -> None:
    together, apart = (unicodedata.normalize(form, "K\xe4se") for form in ("NFC", "NFD"))
    write_photos(tmp_path, 3)
    (tmp_path / "bar").rename(tmp_path / apart)
    for classes in ((), ("ball", apart), ("ball", together)):
        assert together in open_classified(tmp_path, classes=classes).labels
    assert ClassNames((together,), 1).index(apart, where="") == 0


def test_folders_that_are_no_classes_are_said(tmp_path: Path) -> None:
    write_photos(tmp_path / "data" / "train", 2)
    write_photos(tmp_path / "data" / "val", 2)
    (tmp_path / "data" / "train" / "cat").mkdir()
    with pytest.raises(DataError, match="train, val are parts of a data set") as refused:
        open_classified(tmp_path / "data")
    assert refused.value.hint.endswith("--data " + str(tmp_path / "data" / "train"))
    assert open_classified(tmp_path / "data", classes=("train", "val")).counts.tolist() == [6, 6]
    (empty,) = open_classified(tmp_path / "data" / "train").broken
    assert "1 folder without a photo (first cat)" in str(empty)


def test_kin_hang_together_over_others_between() -> None:
    chain = [bytes([0] * 8), bytes([7] + [0] * 7), bytes([63] + [0] * 7), bytes([255] * 8)]
    assert kindred(chain, within=3).tolist() == [0, 0, 0, 3]
    assert kindred(chain, within=2).tolist() == [0, 1, 2, 3]


def test_duplicates_and_bursts_stay_on_one_side(tmp_path: Path) -> None:
    write_photos(tmp_path, 20)
    for seed in range(6):  # each with a copy that is lighter and of another size
        lighter = np.clip(shape("ball", seed).astype(float) * 1.08, 0, 255).astype(np.uint8)
        copy = PIL.Image.fromarray(lighter).resize((64, 64))
        copy.save(tmp_path / "ball" / f"copy{seed}.jpg", quality=90)
    photos = open_classified(tmp_path)
    parts = split_parts(photos, held_out=0.5, seed=0)
    side = {
        photos.paths[place].stem.removeprefix("copy"): name
        for name in ("train", "watched", "held_out")
        for place in getattr(parts, name)
        if photos.paths[place].parent.name == "ball"
    }
    for place, path in enumerate(photos.paths):
        if path.stem.startswith("copy"):
            name = next(n for n in ("train", "watched", "held_out") if place in getattr(parts, n))
            assert side[path.stem.removeprefix("copy")] == name
    assert parts.bound >= 6


def test_a_crowd_that_looks_alike_is_loosened_alone_and_copies_still_stay(tmp_path: Path) -> None:
    write_photos(tmp_path, 20)
    for index in range(12):  # plates: nothing but their light differs, which no hash sees
        plate = PIL.Image.fromarray(np.full((48, 48, 3), 40 + index // 2, np.uint8))
        plate.save(tmp_path / "ball" / f"plate{index}.png")
    for seed in range(3):
        copy = PIL.Image.fromarray(shape("bar", seed)).resize((64, 64))
        copy.save(tmp_path / "bar" / f"copy{seed}.png")
    photos = open_classified(tmp_path)
    for seed in range(5):
        parts = split_parts(photos, held_out=0.5, seed=seed)
        names = [f"{photos.paths[at].parent.name}/{photos.paths[at].stem}" for at in parts.held_out]
        plates = [f"ball/plate{index}" in names for index in range(12)]
        assert plates[::2] == plates[1::2]
        assert 0 < sum(plates) < 12
        assert all((f"bar/copy{at}" in names) == (f"bar/{at}" in names) for at in range(3))


def test_every_photo_is_in_one_part_and_every_class_in_each(tmp_path: Path) -> None:
    photos = open_classified(write_photos(tmp_path, (30, 12, 8)))
    parts = split_parts(photos, held_out=0.25, seed=1)
    together = np.concatenate([parts.train, parts.watched, parts.held_out])
    assert sorted(together.tolist()) == list(range(50))
    for part in (parts.train, parts.held_out):
        assert set(photos.classes[part].tolist()) == {0, 1, 2}
    again = split_parts(photos, held_out=0.25, seed=1)
    other = split_parts(photos, held_out=0.25, seed=2)
    assert np.array_equal(parts.held_out, again.held_out)
    assert not np.array_equal(parts.held_out, other.held_out)


def test_a_class_with_one_scene_cannot_be_judged(tmp_path: Path) -> None:
    write_photos(tmp_path, (6, 6, 1))
    photos = open_classified(tmp_path)
    with pytest.raises(DataError, match="stripes: 1 photo that is no duplicate"):
        split_parts(photos, held_out=0.5, seed=0)
    with pytest.raises(UsageError, match="cannot be"):
        split_parts(photos, held_out=1.0, seed=0)
