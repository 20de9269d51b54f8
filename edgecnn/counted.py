"""Numbers of things, as one says them."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """`1 file`, `1,200 files`; `many` where an s does not make it: `1 was`, `2 were`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
