"""The figures of the zoo, from the code: those that the package keeps and the table of docs/zoo.md.

python -m edgecnn.zoo.page docs/zoo.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgecnn.zoo import figures
from edgecnn.zoo.catalog import find, names
from edgecnn.zoo.describe import ModelRow, describe
from edgecnn.zoo.published_sizes import PUBLISHED_SIZES

_BEGIN, _END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
_COLUMNS = (
    *("name", "input", "parameters", "published", "MACs", "published", "size's source"),
    *("top-1", "top-1's source"),
)


def renew(page: Path) -> None:
    """Count all networks anew, keep their figures and write them into the page's table.

    Raises ValueError where the page has no place for the table.
    """
    figures.keep()
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")


def with_table(page: str) -> str:
    """The page with its table as the code has it now.

    Raises ValueError where the page has no place for it.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN.strip()} and {_END.strip()}")
    return f"{before}{begin}{zoo_table()}{end}{after}"


def zoo_table() -> str:
    """Every network's figures beside the published ones, as Markdown."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_row(describe(find(name))) for name in names())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(row: ModelRow) -> tuple[str, ...]:
    size = PUBLISHED_SIZES.get(row.name)
    return (
        f"`{row.name}`",
        "x".join(map(str, row.input[1:])),
        f"{row.parameters / 1e6:.2f} M",
        f"{size.million_parameters:.4g} M" if size else "–",
        f"{row.macs / 1e6:,.2f} M",
        f"{size.million_macs:,.0f} M" if size and size.million_macs else "–",
        size.source if size else "–",
        f"{row.published.top1:.2f} %" if row.published else "–",
        row.published.source if row.published else "–",
    )


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
