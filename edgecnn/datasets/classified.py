"""Photos or sounds to train with, each under its class, looked at once, the broken ones named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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

Named = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class Classified:
    """Readable photos with their classes, `classes` (n,) int64 being indices into `labels`.

    `broken` says why files were left out: each that cannot be read, and in a line each all that
    lie in no class folder and all of kinds that are not read.
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
    broken. Raises DataError where there are no two classes
    with a readable photo, or no photo of a class that was asked for.
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
    """Each file of a folder or table with the name of its class; raises DataError."""
    if source.is_file():
        return _rows(source)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder or table", hint=_ADVICE)
    table = _table_in(source)
    return _rows(table) if table else _from_folders(source)


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
    """What a folder of class folders holds besides their photos: of no class, or of other kinds."""
    if source.is_file() or _table_in(source):
        return
    loose, foreign = [], []
    for path in sorted(visible_files(source), key=natural_order):
        if path.parent == source and is_known_kind(path):
            loose.append(path)
        elif path.parent != source and not is_known_kind(path):
            foreign.append(path)
    for files, why, hint in (
        (loose, "in no class folder", _ADVICE),
        (foreign, "of a kind that is not read", KINDS),
    ):
        if files:
            first = files[0].relative_to(source)
            count = f"{len(files):,} file{'s' if len(files) > 1 else ''}"
            yield DataError(f"{source}: {count} {why} (first {first})", hint=hint)


def _labels_of(source: Path, named: Iterable[Named], classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that were asked for, or all in natural order; raises DataError."""
    known = {name for _, name in named}
    if not known:
        raise next(_other_files(source), _too_few(source, "no classes"))
    labels = tuple(classes) or _in_natural_order(known)
    _check_labels(source, labels, known)
    return labels


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
