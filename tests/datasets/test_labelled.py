"""A labelled set says what each image shows, in one of the layouts people have, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgecnn.datasets.classes import ClassNames, class_words
from edgecnn.datasets.labelled import LabelledImages, open_labelled
from edgecnn.errors import DataError

ANIMALS = ("tench, Tinca tinca", "great white shark", "crane", "black_bear", "crane")


def make_images(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), len(name)).save(path)
    return folder


def shown(found: LabelledImages, root: Path) -> dict[str, int]:
    return {item.path.relative_to(root).as_posix(): item.class_index for item in found.items}


def refused(cause: str, hint: str = "") -> pytest.RaisesExc[DataError]:
    return pytest.RaisesExc(DataError, match=cause, check=lambda error: hint in error.hint)


# --- a folder per class


def test_class_folders_may_carry_the_index(tmp_path: Path) -> None:
    make_images(tmp_path, "2/a.png", "10/b.png", "0/deep/c.png")
    found = open_labelled(tmp_path, class_count=1000)
    assert shown(found, tmp_path) == {"0/deep/c.png": 0, "2/a.png": 2, "10/b.png": 10}
    assert [item.class_index for item in found.items] == [0, 2, 10]
    assert found.class_count == 1000
    assert found.name == tmp_path.name


def test_class_folders_may_carry_the_models_labels(tmp_path: Path) -> None:
    make_images(tmp_path, "Tench/a.png", "Great-White Shark/b.png", "black bear/c.png")
    found = open_labelled(tmp_path, classes=ANIMALS)
    assert sorted(shown(found, tmp_path).values()) == [0, 1, 3]
    assert found.class_count == 5


def test_a_label_that_is_a_number_is_still_a_label(tmp_path: Path) -> None:
    make_images(tmp_path, "1/a.png", "10/b.png", "2/c.png")
    in_training_order = ("1", "10", "2")
    found = open_labelled(tmp_path, classes=in_training_order)
    assert shown(found, tmp_path) == {"1/a.png": 0, "10/b.png": 1, "2/c.png": 2}


def test_a_folder_that_fits_no_class_is_named_with_the_nearest(tmp_path: Path) -> None:
    make_images(tmp_path, "tench/a.png", "blak bear/b.png")
    with refused("folder: 'blak bear' is not a class", "'black_bear', class 3"):
        open_labelled(tmp_path, classes=ANIMALS)


def test_a_name_that_fits_two_classes_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path, "crane/a.png")
    with refused("'crane' names the classes 2 and 4", "class index"):
        open_labelled(tmp_path, classes=ANIMALS)


def test_unexplained_names_count_in_sorted_order_only_when_all_are_there(tmp_path: Path) -> None:
    make_images(tmp_path, "n01484850/a.png", "n01440764/b.png")
    two = ("tench", "great white shark")
    in_order = {"n01440764/b.png": 0, "n01484850/a.png": 1}
    assert shown(open_labelled(tmp_path, classes=two), tmp_path) == in_order
    assert shown(open_labelled(tmp_path, class_count=2), tmp_path) == in_order
    assert shown(open_labelled(tmp_path), tmp_path) == in_order
    with refused("'n01440764' is not a class", "class index 0 to 999"):
        open_labelled(tmp_path, class_count=1000)


def test_known_labels_are_never_replaced_by_counting(tmp_path: Path) -> None:
    make_images(tmp_path, "zwei/a.png", "eins/b.png")
    with refused("'eins' is not a class"):
        open_labelled(tmp_path, classes=("one", "two"))


def test_two_folders_cannot_be_one_class(tmp_path: Path) -> None:
    make_images(tmp_path, "1/a.png", "01/b.png")
    with refused("folders '01' and '1' are both class 1"):
        open_labelled(tmp_path, class_count=10)


def test_images_beside_the_class_folders_are_refused(tmp_path: Path) -> None:
    make_images(tmp_path, "0/a.png", "1/b.png", "stray.png")
    with refused("1 images lie beside the class folders"):
        open_labelled(tmp_path)


# --- a table


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.tsv", "a.png\t3\nb.png\t1\n"),
        ("list.csv", "a.png,3\r\n\r\nb.png,1\r\n"),
        ("list.tsv", '\ufeffid\tFile\tclass\tname\n7\ta.png\t3\t"bear\n8\tb.png\t1\tshark\n'),
        ("list.csv", 'label,filename,note\n3,a.png,"bear, black"\n1,b.png,\n'),
        ("list.csv", "path,label\na.png,black bear\n./x/../b.png,GREAT WHITE SHARK\n"),
    ],
)
def test_a_table_may_look_as_people_write_it(tmp_path: Path, name: str, text: str) -> None:
    make_images(tmp_path, "a.png", "b.png")
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    found = open_labelled(tmp_path / name, classes=ANIMALS)
    assert shown(found, tmp_path) == {"a.png": 3, "b.png": 1}
    assert found.name == name


def test_a_table_in_the_folder_is_found(tmp_path: Path) -> None:
    make_images(tmp_path, "0/a.png", "0/b.png")
    (tmp_path / "labels.csv").write_text("0/a.png,4\n")
    assert shown(open_labelled(tmp_path), tmp_path) == {"0/a.png": 4}


def test_a_table_beside_the_folder_speaks_for_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images(tmp_path, "mine/7_0.png", "mine/8_0.png", "other/9_0.png", "minefield/1_0.png")
    rows = "file\tclass\nmine/7_0.png\t70\nother/9_0.png\t90\nminefield/1_0.png\t10\n"
    (tmp_path / "labels.tsv").write_text(rows)
    assert shown(open_labelled(tmp_path / "mine"), tmp_path) == {"mine/7_0.png": 70}
    monkeypatch.chdir(tmp_path / "mine")
    assert shown(open_labelled(Path()), tmp_path) == {"mine/7_0.png": 70}


def test_a_table_beside_the_folder_that_speaks_of_others_is_ignored(tmp_path: Path) -> None:
    make_images(tmp_path, "mine/7_0.png", "other/9_0.png")
    (tmp_path / "labels.tsv").write_text("file\tclass\nother/9_0.png\t90\n")
    assert shown(open_labelled(tmp_path / "mine"), tmp_path) == {"mine/7_0.png": 7}


def test_a_table_elsewhere_can_be_given(tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", "a.png")
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "mine.tsv").write_text("a.png\t5\n")
    found = open_labelled(images, labels=tmp_path / "truth" / "mine.tsv")
    assert shown(found, images) == {"a.png": 5}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a.png\t5\n", "line 1: class 5 is not one of 0 to 4"),
        ("a.png\t0\nb.png\t-1\n", "line 2: class -1 is not one of 0 to 4"),
        ("a.png\twolf\n", "line 1: 'wolf' is not a class"),
        ("a.png\t1.5\n", "line 1: '1.5' is not a class"),
        ("a.png\t" + "9" * 400 + "\n", "is not a class"),
        ("absent.png\t0\n", "line 1: there is no file absent.png"),
        ("a.png\t0\na.png\t1\n", "line 2: a.png was already listed in line 1"),
        ("a.png\t0\nb.png\n", "line 2 has 1 column"),
        ("file\tclass\n", "no rows"),
        ("", "no rows"),
        ('a.png,0\n"b.png,1\n', "not a table"),
        ("a.png,\0\n", "not a table|not a class"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_by_line(
    tmp_path: Path, text: str, cause: str
) -> None:
    make_images(tmp_path, "a.png", "b.png")
    (tmp_path / "labels.tsv").write_text(text)
    with refused(cause) as refusal:
        open_labelled(tmp_path, classes=ANIMALS)
    assert "labels.tsv" in str(refusal.value)
    assert "\n" not in str(refusal.value) + refusal.value.hint


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    with refused("a.png: not a table in UTF-8"):
        open_labelled(tmp_path / "a.png")
    with refused("absent.tsv: No such file"):
        open_labelled(tmp_path, labels=tmp_path / "absent.tsv")


# --- names alone


def test_names_may_start_with_the_class_index(tmp_path: Path) -> None:
    make_images(tmp_path, "94_0.png", "7_cat.png", "7_10.png")
    found = open_labelled(tmp_path, class_count=100)
    assert shown(found, tmp_path) == {"7_10.png": 7, "7_cat.png": 7, "94_0.png": 94}
    with refused("94_0.png: class 94 is not one of 0 to 9"):
        open_labelled(tmp_path, class_count=10)


def test_names_that_say_nothing_are_refused(tmp_path: Path) -> None:
    make_images(tmp_path, "7_cat.png", "holiday.png")
    with refused("nothing says what holiday.png shows", "labels.tsv"):
        open_labelled(tmp_path)


def test_an_empty_or_absent_set_is_refused(tmp_path: Path) -> None:
    with refused(f"{tmp_path.name}: no images"):
        open_labelled(tmp_path)
    with refused("absent: no such folder or table"):
        open_labelled(tmp_path / "absent")


# --- identity


def test_the_hash_is_the_sets_own_wherever_it_lies(tmp_path: Path) -> None:
    here = open_labelled(make_images(tmp_path / "here", "0/a.png", "1/b.png"))
    there = open_labelled(make_images(tmp_path / "far" / "there", "1/b.png", "0/a.png"))
    assert here.sha256 == there.sha256
    renamed = open_labelled(make_images(tmp_path / "renamed", "0/c.png", "1/b.png"))
    relabelled = open_labelled(make_images(tmp_path / "relabelled", "0/a.png", "2/b.png"))
    Image.new("L", (2, 2), 99).save(tmp_path / "far" / "there" / "0" / "a.png")
    assert len({found.sha256 for found in (here, there, renamed, relabelled)}) == 4


def test_the_real_sets_open_with_their_table_beside_them(real_data: Path) -> None:
    for subset, count in (("ccby", 911), ("val", 650)):
        found = open_labelled(real_data / "imagenet" / subset, class_count=1000)
        assert len(found.items) == count
        assert all(item.path.name.startswith(f"{item.class_index}_") for item in found.items)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("cat", "dog"), ("cat", "dog")),
        (("0", "1", "2"), ("0", "1", "2")),
        (("1", "2", "3"), ("0", "1", "2")),  # class 1 is the second one, not that called 1
        (("3", "7"), ("0", "1")),
        (("Cat", "cat", "dog"), ("0", "1", "2")),
        (("big cat", "cat", "cat, tame"), ("0", "1", "2")),
    ],
)
def test_a_table_calls_each_class_so_that_no_other_is_meant(
    labels: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert class_words(labels) == words
    names = ClassNames(labels, None)
    assert [names.index(word, where="here") for word in words] == list(range(len(labels)))


def test_a_class_that_others_have_elsewhere_is_found() -> None:
    names = ClassNames(("cat", "dog, hound", "owl"), None)
    assert names.moved(("cat", "Hound", "bird")) is None
    assert names.moved(("dog", "cat", "owl")) == 0
    assert names.moved(("cat", "dog", "owl", "cat")) == 3
