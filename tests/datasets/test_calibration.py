"""A calibration set is real, varied and known by its content, or it is refused."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.datasets.calibration import open_calibration, survey
from edgecnn.datasets.natural import natural_image
from edgecnn.errors import DataError


def write_photos(folder: Path, count: int, *, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = natural_image(index, height=48, width=64, seed=seed)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 40)


# --- a good set


def test_a_folder_is_read_one_image_at_a_time_in_order(photos: Path) -> None:
    found = open_calibration(photos)
    assert found.count == 40
    assert found.name == str(photos)
    assert not found.is_random
    assert found.near_duplicates == 0
    for index, image in enumerate(found.images()):
        np.testing.assert_array_equal(image, natural_image(index, height=48, width=64, seed=0))


def test_opening_tells_how_far_it_is(photos: Path) -> None:
    steps: list[tuple[int, int]] = []
    open_calibration(photos, limit=20, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 20) for done in range(1, 21)]


def test_a_list_names_its_files_from_where_it_lies(photos: Path, tmp_path: Path) -> None:
    names = [photos / f"{index}.png" for index in range(20)]
    (photos / "list.txt").write_text("".join(f"{name.name}\n" for name in names) + "\n")
    (tmp_path / "list.txt").write_text("".join(f"{name}\n" for name in names))
    from_there = open_calibration(photos / "list.txt")
    assert from_there.count == 20
    assert open_calibration(tmp_path / "list.txt").sha256 == from_there.sha256


def test_the_hash_is_of_the_contents_alone(photos: Path, tmp_path: Path) -> None:
    for index in range(40):
        shutil.copy(photos / f"{index}.png", tmp_path / f"renamed_{40 - index}.png")
    found = open_calibration(photos)
    assert open_calibration(tmp_path).sha256 == found.sha256
    (tmp_path / "renamed_1.png").unlink()
    assert open_calibration(tmp_path).sha256 != found.sha256


def test_a_limit_takes_a_sample_that_the_seed_decides(photos: Path) -> None:
    first = open_calibration(photos, limit=20, seed=1)
    assert first.count == 20
    assert open_calibration(photos, limit=20, seed=1).members == first.members
    assert open_calibration(photos, limit=20, seed=2).members != first.members
    assert open_calibration(photos, limit=99).count == 40


def test_a_part_kept_aside_shares_nothing_with_the_rest(photos: Path) -> None:
    found = open_calibration(photos)
    fit, aside = found.split(0.25, seed=3)
    assert (fit.count, aside.count) == (30, 10)
    assert sorted(fit.members + aside.members) == list(found.members)
    assert sorted(fit.digests + aside.digests) == sorted(found.digests)
    assert found.split(0.25, seed=3) == (fit, aside)
    assert found.split(0.25, seed=4) != (fit, aside)
    assert len({fit.sha256, aside.sha256, found.sha256}) == 3
    assert len(list(aside.images())) == 10


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    few = peak_bytes(write_photos(tmp_path / "few", 20))
    many = peak_bytes(write_photos(tmp_path / "many", 100))
    assert many - few < 80 * 48 * 64 * 3 / 2  # half of what the other 80 images would take


def peak_bytes(folder: Path) -> int:
    open_calibration(folder)
    tracemalloc.start()
    for _ in open_calibration(folder).images():
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


# --- images that nobody gave


def test_drawn_images_are_a_set_too() -> None:
    found = open_calibration("natural:16", seed=5)
    assert (found.name, found.count, found.is_random) == ("natural:16", 16, False)
    first = next(iter(found.images()))
    np.testing.assert_array_equal(first, natural_image(0, height=256, width=256, seed=5))
    assert open_calibration("natural:16", seed=6).sha256 != found.sha256


def test_packaged_photos_are_cropped() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    found = open_calibration("photos:60", limit=40)
    assert found.count == 40
    assert {image.shape[2] for image in found.images()} == {3}
    assert open_calibration("photos").count == 256


def test_noise_comes_only_when_said_in_so_many_words_and_is_marked() -> None:
    found = open_calibration("random:20")
    assert found.is_random
    assert found.count == 20
    assert all(part.is_random for part in found.split(0.2))
    assert np.stack(list(found.images())).std() > 70


def test_a_folder_goes_before_a_word(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(photos, tmp_path / "random")
    monkeypatch.chdir(tmp_path)
    assert not open_calibration("random").is_random
    with pytest.raises(DataError, match="natural: no such folder"):
        open_calibration(Path("natural"))
    with pytest.raises(DataError, match="photos: no such folder"):
        open_calibration("photos/")
    with pytest.raises(DataError, match="natural:many: no such folder"):
        open_calibration("natural:many")


# --- what teaches nothing


def refuse(source: str | Path, cause: str, *, limit: int | None = None) -> None:
    with pytest.raises(DataError, match=cause) as refusal:
        open_calibration(source, limit=limit)
    assert "\n" not in str(refusal.value) + refusal.value.hint


def test_fewer_than_sixteen_are_refused(photos: Path, tmp_path: Path) -> None:
    few = write_photos(tmp_path / "few", 12)
    refuse(few, r"few: 12 images; 16 different ones are the least that make sense")
    refuse(photos, "15 images", limit=15)
    refuse(photos, "0 images", limit=0)
    refuse("natural:3", "natural:3: 3 images")
    (tmp_path / "list.txt").touch()
    refuse(tmp_path / "list.txt", "0 images")


def test_the_same_scene_again_and_again_is_refused(photos: Path, tmp_path: Path) -> None:
    for index in range(3):
        shutil.copy(photos / f"{index}.png", tmp_path / f"{index}.png")
    repeated = Image.open(photos / "3.png")
    for index in range(20):
        repeated.resize((256 - index, 192)).save(tmp_path / f"again{index}.jpg")
    refuse(tmp_path, "19 of 23 images are near-duplicates of each other; 16 different ones are")


def test_a_majority_of_copies_is_refused_even_among_many(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    for index in range(41):
        shutil.copy(photos / "7.png", tmp_path / "set" / f"copy{index}.png")
    refuse(tmp_path / "set", "41 of 81 images are near-duplicates")
    (tmp_path / "set" / "copy0.png").unlink()
    assert open_calibration(tmp_path / "set").near_duplicates == 40


def test_an_unreadable_image_among_them_is_named(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    half = (photos / "9.png").read_bytes()[:900]
    (tmp_path / "set" / "9.png").write_bytes(half)
    refuse(tmp_path / "set", "9.png: damaged")
    (tmp_path / "set" / "9.png").write_bytes(b"")
    refuse(tmp_path / "set", "9.png: the file is empty")


def test_all_that_cannot_be_read_are_found_in_one_go(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    for index in (9, 11, 30):
        (tmp_path / "set" / f"{index}.png").write_bytes(b"")
    refuse(tmp_path / "set", "3 of 40 images cannot be read, the first of them .*9.png")
    found = survey(tmp_path / "set")
    assert found.images.count == 37
    assert ["11.png" in str(cause) for cause in found.unreadable] == [False, True, False]


def test_a_sample_is_a_set_of_its_own(photos: Path) -> None:
    found = open_calibration(photos)
    part = found.sample(20, seed=1)
    assert part.count == 20
    assert set(part.digests) < set(found.digests)
    assert part == found.sample(20, seed=1) != found.sample(20, seed=2)
    assert found.sample(40) is found


def test_a_file_that_vanishes_after_opening_is_named(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "set")
    found = open_calibration(tmp_path / "set")
    (tmp_path / "set" / "39.png").unlink()
    with pytest.raises(DataError, match=r"39\.png: No such file"):
        list(found.images())


def test_a_list_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    refuse(tmp_path / "list.txt", "list.txt: not a list")
    (tmp_path / "list.txt").write_text("absent.png\n" * 20)
    refuse(tmp_path / "list.txt", "absent.png: No such file")
    refuse(tmp_path / "nowhere", "nowhere: no such folder")


def test_the_real_calibration_images_pass(real_data: Path) -> None:
    found = open_calibration(real_data / "imagenet" / "calibration")
    assert (found.count, found.near_duplicates) == (300, 0)
