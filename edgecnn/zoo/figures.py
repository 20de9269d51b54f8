"""Parameters and MACs of the catalog's networks, kept beside the code: to count them all takes
PyTorch and seconds. A test compares what is kept with what the code counts.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from edgecnn.zoo.catalog import find, names
from edgecnn.zoo.spec import ModelSpec

FILE = Path(__file__).with_name("figures.json")


def figures(spec: ModelSpec) -> tuple[int, int]:
    """Parameters and MACs of one image; those that are not kept are counted now, in PyTorch."""
    found = _kept().get(spec.name)
    if found is not None and find(spec.name) == spec:
        return found[0], found[1]
    from edgecnn.zoo.outline import count

    return count(spec)


def keep() -> None:
    """Count all networks anew and write the file."""
    from edgecnn.zoo.outline import count

    rows = ",\n".join(f'"{name}": {json.dumps(count(find(name)))}' for name in names())
    FILE.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
    _kept.cache_clear()


@cache
def _kept() -> dict[str, list[int]]:
    kept: dict[str, list[int]] = json.loads(FILE.read_text(encoding="utf-8"))
    return kept
