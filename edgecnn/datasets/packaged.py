"""Data files that other packages carry in their wheels, found without importing the packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def packaged_file(package: str, inside: str) -> Path | None:
    """The file at `inside` of an installed package, None where there is no such package or file."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, inside)
        if path.is_file():
            return path
    return None
