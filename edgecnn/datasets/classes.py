"""What people call a class: its index, or a name out of the model's labels."""

from __future__ import annotations

import difflib
import re
import unicodedata

from edgecnn.errors import DataError


class ClassNames:
    """Finds the class index behind a word; knows the model's labels and how many there are."""

    def __init__(self, labels: tuple[str, ...], count: int | None) -> None:
        self._labels = labels
        self.count = count if count is not None else (len(labels) or None)
        self._indices: dict[str, set[int]] = {}
        for index, label in enumerate(labels[: self.count]):
            for name in _names_of(label):
                self._indices.setdefault(name, set()).add(index)

    def index(self, word: str, *, where: str) -> int:
        """The class index of `word`; `where` names the row or folder in errors.

        Raises DataError for an index out of range and for a name that fits no class or several.
        """
        if re.fullmatch(r"[+-]?[0-9]{1,9}", word):
            return self._checked(int(word), where)
        return self._by_name(word, where)

    def is_named(self, index: int, label: str) -> bool:
        """Whether a label can mean no class but that one."""
        try:
            return self.index(label, where="") == index
        except DataError:
            return False

    def shares_none(self, labels: tuple[str, ...]) -> bool:
        """Whether there are labels here and there, and no name that both know."""
        both = bool(labels) and bool(self._indices)
        return both and not any(_names_of(label) & self._indices.keys() for label in labels)

    def moved(self, labels: tuple[str, ...]) -> int | None:
        """The first place of `labels` whose name belongs to other classes here; None if there is
        none.
        """
        for index, label in enumerate(labels):
            found = set().union(*(self._indices.get(name, ()) for name in _names_of(label)))
            if found and index not in found:
                return index
        return None

    def indices_of_folders(self, folders: list[str], *, where: str) -> list[int]:
        """The class index of each class folder: its label where all have one, else its number.

        Names that the labels cannot explain (WordNet ids, or the model has no labels) count in
        sorted order, as in training, but only with one folder for each class.
        """
        if self._count_in_order(folders):
            order = sorted(folders)
            return [order.index(folder) for folder in folders]
        named = all(_plain(folder) in self._indices for folder in folders)
        find = self._by_name if named else self._by_index
        return _distinct([find(folder, f"{where}: folder") for folder in folders], folders, where)

    def _count_in_order(self, folders: list[str]) -> bool:
        unexplained = not self._labels or all(_is_wordnet_id(folder) for folder in folders)
        numbered = any(folder.isdecimal() for folder in folders)
        return unexplained and not numbered and self.count in (None, len(folders))

    def _by_index(self, word: str, where: str) -> int:
        return self.index(word, where=where)

    def _by_name(self, word: str, where: str) -> int:
        matches = sorted(self._indices.get(_plain(word), ()))
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise DataError(
                f"{where}: {word!r} names the classes {' and '.join(map(str, matches))}",
                hint="use the class index instead of the name",
            )
        raise DataError(f"{where}: {word!r} is not a class of the model", hint=self._advice(word))

    def _checked(self, index: int, where: str) -> int:
        if index < 0 or (self.count is not None and index >= self.count):
            known = "a count from 0" if self.count is None else f"one of 0 to {self.count - 1}"
            raise DataError(
                f"{where}: class {index} is not {known}",
                hint="classes are counted from 0, in the order of the model's outputs",
            )
        return index

    def _advice(self, word: str) -> str:
        nearest = difflib.get_close_matches(_plain(word), self._indices, n=1)
        if nearest:
            index = min(self._indices[nearest[0]])
            return f"the nearest is {self._labels[index]!r}, class {index}"
        outputs = "" if self.count is None else f" 0 to {self.count - 1}"
        return f"name it by the class index{outputs}, or give --labels FILE of file and class index"


def class_words(labels: tuple[str, ...]) -> tuple[str, ...]:
    """What a table calls the classes so that it is read as it was meant: their labels, or their
    indices where a label is a number that is another's index, or is written like another label.
    """
    names = ClassNames(labels, None)
    if all(names.is_named(index, label) for index, label in enumerate(labels)):
        return labels
    return tuple(map(str, range(len(labels))))


def _distinct(indices: list[int], folders: list[str], where: str) -> list[int]:
    """The indices, unless two folders claim one class."""
    owner: dict[int, str] = {}
    for index, folder in zip(indices, folders, strict=True):
        if owner.setdefault(index, folder) != folder:
            raise DataError(
                f"{where}: folders {owner[index]!r} and {folder!r} are both class {index}",
                hint="name every class folder by its index, counted from 0",
            )
    return indices


def _names_of(label: str) -> set[str]:
    """A label as a whole and each of its synonyms ('tench, Tinca tinca')."""
    return {_plain(label), *map(_plain, label.split(","))} - {""}


def _plain(name: str) -> str:
    """Without what people and systems write differently: case, spaces, underscores, hyphens, and
    whether an umlaut is one character.
    """
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()


def _is_wordnet_id(name: str) -> bool:
    return re.fullmatch(r"n[0-9]{8}", name) is not None
