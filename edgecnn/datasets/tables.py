"""Tables of image files and their classes, as TSV or CSV, with or without a header."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors import DataError

FILE_COLUMNS = ("file", "path", "image", "filename")
CLASS_COLUMNS = ("class", "label", "index", "target")
_SUFFIXES = (".tsv", ".csv")

_ADVICE = (
    f"name the columns {'|'.join(FILE_COLUMNS)} and {'|'.join(CLASS_COLUMNS)}, or have just two"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of the table says, not yet believed."""

    line: int
    file: str
    label: str


def is_table(path: Path) -> bool:
    """Whether a path means a table, by its suffix; a folder never does."""
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def read_table(path: Path) -> list[Row]:
    """The file and class columns of a table; without a header they are its first two columns.

    A tab in the first line makes it a TSV, in which quotes are ordinary characters.
    Raises DataError when it is no such table or has no rows.
    """
    records = _records(path)
    first = records[0][1] if records else []
    columns = _named_columns(first)
    rows = [_row(path, line, cells, columns or (0, 1)) for line, cells in records[bool(columns) :]]
    if not rows:
        raise DataError(f"{path}: no rows in it", hint="one line an image: its file and its class")
    return rows


def existing_file(file: str, roots: tuple[Path, ...], where: str) -> Path:
    """The file of a row, in the first of the folders that has it; `where` names the row in errors.

    Raises DataError where none has it.
    """
    for root in roots:
        path = join(root, file)
        if path.is_file():
            return path
    raise DataError(
        f"{where}: there is no file {file}",
        hint="paths in a table start at its own folder or at the folder of the images",
    )


def join(root: Path, file: str) -> Path:
    """One path for one file, however '..' and '.' are strewn into its name."""
    return Path(os.path.normpath(root / file))


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        tabs = "\t" in text.partition("\n")[0]
        reader = (
            csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
            if tabs
            else csv.reader(io.StringIO(text, newline=""), strict=True)
        )
        return [(reader.line_num, cells) for cells in reader if any(cells)]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint="check the path to the table") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in UTF-8 ({error})", hint=_ADVICE) from error


def _named_columns(header: list[str]) -> tuple[int, int] | None:
    names = [cell.strip().casefold() for cell in header]
    file = next((names.index(name) for name in FILE_COLUMNS if name in names), None)
    label = next((names.index(name) for name in CLASS_COLUMNS if name in names), None)
    return None if file is None or label is None else (file, label)


def _row(path: Path, line: int, cells: list[str], columns: tuple[int, int]) -> Row:
    if len(cells) <= max(columns):
        told = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        raise DataError(f"{path}: line {line} has {told}", hint=_ADVICE)
    return Row(line, cells[columns[0]].strip(), cells[columns[1]].strip())
