"""Labelled image sets: a folder per class, a table of file and class, or names like 12_cat.jpg."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from edgecnn.datasets.classes import ClassNames
from edgecnn.datasets.images import image_paths, images_under, natural_order
from edgecnn.datasets.tables import Row, existing_file, join, read_table
from edgecnn.errors import DataError
from edgecnn.files import sha256_of

TABLE_NAMES = ("labels.tsv", "labels.csv")

_LAYOUTS = "give a folder per class, a labels.tsv of file and class index, or names like 12_cat.jpg"


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image file and the index of the class it shows."""

    path: Path
    class_index: int


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images with their classes; every index lies in 0 to `class_count` - 1.

    `name` is that of the folder or the table, without where it lies.
    """

    root: Path
    items: tuple[LabelledImage, ...]
    class_count: int
    name: str

    @property
    def sha256(self) -> str:
        """Of the names, classes and bytes of all files, wherever the set lies; reads them all."""
        digest = hashlib.sha256()
        for item in self.items:
            name = Path(os.path.relpath(item.path, self.root)).as_posix()
            digest.update(f"{name}\t{item.class_index}\t{sha256_of(item.path)}\n".encode())
        return digest.hexdigest()


def open_labelled(
    source: Path,
    *,
    labels: Path | None = None,
    classes: tuple[str, ...] = (),
    class_count: int | None = None,
) -> LabelledImages:
    """Find the images of `source` and what each of them shows, in natural order of their names.

    `source` is a table of file and class, or a folder. A folder is read through the table
    `labels`; else through a labels.tsv or labels.csv in it or beside it; else as one folder per
    class; else by the class index that starts each name ('12_cat.jpg'). `classes` are the
    model's labels, `class_count` how many outputs it has (default: as many as `classes`).

    Raises DataError for an empty set, a missing image, or a class the model does not have.
    """
    names = ClassNames(classes, class_count)
    if source.is_file() and labels is None:
        root, items = source.parent, _from_table(source, (source.parent,), names)
    elif not source.is_dir():
        raise DataError(f"{source}: no such folder or table", hint="check the path to the data")
    else:
        root, items = source, _from_folder(source, labels, names)
    ordered = sorted(items, key=lambda item: natural_order(item.path))
    largest = max(item.class_index for item in ordered)
    count = names.count or largest + 1
    return LabelledImages(root, tuple(ordered), count, source.resolve().name)


def _from_folder(folder: Path, labels: Path | None, names: ClassNames) -> list[LabelledImage]:
    if labels is not None:
        return _from_table(labels, (folder, labels.parent), names)
    for table in _tables_of(folder):
        rows = _rows_inside(folder, table)
        if rows:
            return _items(table, rows, (table.parent,), names)
    if any(images_under(child) for child in subfolders(folder)):
        return _from_class_folders(folder, names)
    return _from_file_names(folder, names)


def _from_table(table: Path, roots: tuple[Path, ...], names: ClassNames) -> list[LabelledImage]:
    return _items(table, read_table(table), roots, names)


def _tables_of(folder: Path) -> list[Path]:
    """Where tables may lie: in the folder, then beside it."""
    return [place / name for place in (folder, folder.resolve().parent) for name in TABLE_NAMES]


def _rows_inside(folder: Path, table: Path) -> list[Row]:
    """The rows of a table, if there is one, whose files lie in the folder."""
    if not table.is_file():
        return []
    rows = read_table(table)
    if table.parent == folder:
        return rows
    inside = folder.resolve()
    return [row for row in rows if join(table.parent, row.file).is_relative_to(inside)]


def _items(
    table: Path, rows: list[Row], roots: tuple[Path, ...], names: ClassNames
) -> list[LabelledImage]:
    """One image a row; a file may be listed only once."""
    lines: dict[Path, int] = {}
    items = []
    for row in rows:
        where = f"{table}: line {row.line}"
        path = existing_file(row.file, roots, where)
        if path in lines:
            raise DataError(
                f"{where}: {row.file} was already listed in line {lines[path]}",
                hint="list each image once",
            )
        lines[path] = row.line
        items.append(LabelledImage(path, names.index(row.label, where=where)))
    return items


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, by name."""
    return sorted(
        child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")
    )


def _from_class_folders(folder: Path, names: ClassNames) -> list[LabelledImage]:
    children = subfolders(folder)
    indices = names.indices_of_folders([child.name for child in children], where=str(folder))
    items = [
        LabelledImage(path, index)
        for child, index in zip(children, indices, strict=True)
        for path in images_under(child)
    ]
    loose = len(images_under(folder)) - len(items)
    if loose > 0:
        raise DataError(
            f"{folder}: {loose} images lie beside the class folders, not in one", hint=_LAYOUTS
        )
    return items


def _from_file_names(folder: Path, names: ClassNames) -> list[LabelledImage]:
    return [
        LabelledImage(path, names.index(_prefix(path), where=str(path)))
        for path in image_paths(folder)
    ]


def _prefix(path: Path) -> str:
    match = re.match(r"([0-9]+)_", path.name)
    if match is None:
        raise DataError(f"{path.parent}: nothing says what {path.name} shows", hint=_LAYOUTS)
    return match[1]
