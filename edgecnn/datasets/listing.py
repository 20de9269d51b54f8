"""Which image files are meant by a folder, a list or a table."""

from __future__ import annotations

from pathlib import Path

from edgecnn.datasets.images import image_paths
from edgecnn.datasets.tables import existing_file, is_table, read_table
from edgecnn.errors import DataError


def listed_images(source: Path) -> tuple[Path, ...]:
    """The images of a folder, of a .txt list (a file a line) or of the rows of a .tsv/.csv table.

    What a list or a table names starts at its own folder; an image file stands for itself alone.
    Raises DataError where there is no such source or no image in it, and for a row of a table whose
    file is not there.
    """
    if is_table(source):
        return tuple(
            existing_file(row.file, (source.parent,), f"{source}: line {row.line}")
            for row in read_table(source)
        )
    if source.suffix.lower() == ".txt" and source.is_file():
        return _lines(source)
    return image_paths(source)


def _lines(source: Path) -> tuple[Path, ...]:
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: not a list in UTF-8", hint="one file a line") from error
    return tuple(source.parent / line.strip() for line in lines if line.strip())
