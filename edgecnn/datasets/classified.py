"""Photos or sounds to train with, each under its class, looked at once, the broken ones named."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.counted import counted
from edgecnn.datasets.images import (
    KINDS,
    images_under,
    is_known_kind,
    natural_order,
    visible_files,
)
from edgecnn.datasets.labelled import TABLE_NAMES, subfolders
from edgecnn.datasets.looks import Files, Look
from edgecnn.datasets.tables import existing_file, read_table
from edgecnn.errors import DataError

_READERS = 2
_ADVICE = "a folder per class, or a .tsv/.csv table of file and class"
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}

Named = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class Classified:
    """Readable photos with their classes, `classes` (n,) int64 being indices into `labels`.

    `broken` says what was left out and why: each file that cannot be read or listed, and in a line
    each all that lie in no class folder, all of kinds that are not read and all empty folders.
    """

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    classes: NDArray[np.int64]
    looks: tuple[Look, ...]
    broken: tuple[DataError, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many photos each class has, (classes,)."""
        return np.bincount(self.classes, minlength=len(self.labels)).astype(np.int64)

    @property
    def sha256(self) -> str:
        """Of the labels, contents and classes in their order, whatever the files are called."""
        photos = (
            f"{look.digest} {index}" for look, index in zip(self.looks, self.classes, strict=True)
        )
        lines = (*self.labels, *photos)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def open_classified(
    source: Path,
    *,
    classes: Sequence[str] = (),
    check: Callable[[Path], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Classified:
    """Find the photos of a folder or table and look at each of them once.

    `source` is a table of file and class, a folder with a labels.tsv or labels.csv in it, or a
    folder of class folders. `classes` chooses some of them, in the order of the network's outputs;
    by default all are taken, in natural order. Files for which `check` raises DataError count as
    broken. Raises DataError where there are no two classes with a readable photo, no photo of a
    class that was asked for, or parts of a data set (train, val) in the place of classes.
    """
    named = list(named_files(source))
    labels = _labels_of(source, named, classes)
    index = {label: place for place, label in enumerate(labels)}
    chosen = sorted(
        ((path, index[name]) for path, name in named if name in index),
        key=lambda item: natural_order(item[0]),
    )
    seen = list(zip(chosen, _look_at([path for path, _ in chosen], check, progress), strict=True))
    kept = [(path, place, look) for (path, place), look in seen if isinstance(look, Look)]
    broken = [(place, error) for (_, place), error in seen if isinstance(error, DataError)]
    found = Classified(
        labels=labels,
        paths=tuple(path for path, _, _ in kept),
        classes=np.array([place for _, place, _ in kept], np.int64),
        looks=tuple(look for _, _, look in kept),
        broken=(*_other_files(source), *(error for _, error in broken)),
    )
    for place in np.flatnonzero(found.counts == 0):
        raise DataError(
            f"{source}: none of the files of {labels[place]!r:.40} can be used",
            hint=f"the first of them: {next(error for at, error in broken if at == place)}",
        )
    return found


def class_labels(source: Path, classes: Sequence[str] = ()) -> tuple[str, ...]:
    """The classes that `open_classified` finds, without a look at any photo; raises as it does."""
    return _labels_of(source, named_files(source), classes)


def named_files(source: Path) -> Iterator[Named]:
    """Each file of a folder or table with the name of its class in NFC; raises DataError."""
    if not (source.is_file() or source.is_dir()):
        raise DataError(f"{source}: no such folder or table", hint=_ADVICE)
    table = source if source.is_file() else _table_in(source)
    found = _rows(table) if table else _from_folders(source)
    return ((path, _composed(name)) for path, name in found)


def _composed(name: str) -> str:
    """As keyboards write it: other systems take an umlaut apart in the names of folders."""
    return unicodedata.normalize("NFC", name)


def _table_in(folder: Path) -> Path | None:
    return next((folder / name for name in TABLE_NAMES if (folder / name).is_file()), None)


def _rows(table: Path) -> Iterator[Named]:
    seen: set[Path] = set()
    for row in read_table(table):
        where = f"{table}: line {row.line}"
        path = existing_file(row.file, (table.parent,), where)
        if path in seen:
            raise DataError(f"{where}: {row.file} is listed twice", hint="list each image once")
        seen.add(path)
        yield path, row.label


def _from_folders(folder: Path) -> Iterator[Named]:
    for child in subfolders(folder):
        for path in images_under(child):
            yield path, child.name


def _other_files(source: Path) -> Iterator[DataError]:
    """What a folder of class folders holds besides photos of these."""
    if source.is_file() or _table_in(source):
        return
    empty = [folder for folder in subfolders(source) if not images_under(folder)]
    loose, foreign = [], []
    for path in sorted(visible_files(source), key=natural_order):
        if path.parent == source and is_known_kind(path):
            loose.append(path)
        elif path.parent != source and not is_known_kind(path):
            foreign.append(path)
    for paths, kind, why, hint in (
        (loose, "file", "in no class folder", _ADVICE),
        (foreign, "file", "of a kind that is not read", KINDS),
        (empty, "folder", "without a photo", "put photos in"),
    ):
        if paths:
            first = _shown(paths[0].relative_to(source))
            count = counted(len(paths), kind)
            yield DataError(f"{source}: {count} {why} (first {first})", hint=hint)


def _check_name(path: Path) -> None:
    """Raise DataError for a name that no list of files can hold: they are text, a line a file."""
    name = str(path)
    if _shown(path) != name:
        raise DataError(f"{_shown(path)}: its name is not UTF-8", hint="rename it")
    if "\t" in name or len(name.splitlines()) > 1:
        raise DataError(f"{path}: there is a tab or a line break in its name", hint="rename it")


def _shown(path: Path) -> str:
    """As text, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "replace")


def _labels_of(source: Path, named: Iterable[Named], classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that were asked for, or all in natural order; raises DataError."""
    known = {name for _, name in named}
    if not known:
        raise next(_other_files(source), _too_few(source, "no classes"))
    if not classes:
        _check_no_parts(source, _in_natural_order(known))
    labels = tuple(map(_composed, classes)) or _in_natural_order(known)
    _check_labels(source, labels, known)
    return labels


def _check_no_parts(source: Path, names: tuple[str, ...]) -> None:
    if all(name.casefold() in _PARTS for name in names):
        learnt = next((name for name in names if name.casefold().startswith("train")), names[0])
        raise DataError(
            f"{source}: {', '.join(names)} are parts of a data set, not classes",
            hint=f"the part to learn from: --data {source / learnt}",
        )


def _in_natural_order(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: natural_order(Path(name))))


def _check_labels(source: Path, labels: tuple[str, ...], known: set[str]) -> None:
    if len(set(labels)) < len(labels):
        raise DataError(f"{','.join(labels):.80}: a class is named twice", hint="name each once")
    missing = next((label for label in labels if label not in known), None)
    if missing is not None:
        named = ", ".join(_in_natural_order(known))
        raise DataError(
            f"{source}: no photos of {missing!r:.40}", hint=f"its classes are: {named:.160}"
        )
    if len(labels) < 2:
        raise _too_few(source, "1 class")


def _too_few(source: Path, count: str) -> DataError:
    return DataError(f"{source}: {count}; two are the least", hint=_ADVICE)


def _look_at(
    paths: Sequence[Path],
    check: Callable[[Path], object] | None,
    progress: Callable[[int, int], None] | None,
) -> list[Look | DataError]:
    """A look at each file, several at a time, or what is wrong with it."""
    files = Files(tuple(paths))
    looks: list[Look | DataError] = []

    def look(place: int) -> Look | DataError:
        try:
            _check_name(paths[place])
            if check:
                check(paths[place])
            return files.look(place)
        except DataError as error:
            return error

    with ThreadPoolExecutor(_READERS) as readers:
        for done, found in enumerate(readers.map(look, range(len(paths))), start=1):
            looks.append(found)
            if progress:
                progress(done, len(paths))
    return looks
