"""The kernel's small text files."""

from __future__ import annotations

from pathlib import Path


def read(path: Path) -> str:
    """A small text file, '' where there is none or it cannot be read: a zone that is off raises.

    Strings of the device tree end in NUL.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
