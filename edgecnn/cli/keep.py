"""Verbs that look after things: the zoo and the cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.zoo.describe import ModelRow


@click.command()
@options.speaking
def models(*, speaker: Speaker) -> None:
    """List the networks of the zoo: parameters, operations, published accuracy, weights."""
    from edgecnn.zoo.catalog import find, names
    from edgecnn.zoo.describe import describe

    rows = tuple(describe(find(name)) for name in names())
    speaker.print(
        f"{'model':<20}{'params':>9}{'GMAC':>8}  {'input':<9}{'top-1 % as published':<22}weights"
    )
    for row in rows:
        speaker.print(_row(row))
    speaker.print("\nExport one:  edgecnn export mobilenetv2")
    speaker.result({"format": 1, "models": [_as_json(row) for row in rows]})


def _row(row: ModelRow) -> str:
    published = f"{row.published.top1:.1f}" if row.published else "-"
    return (
        f"{row.name:<20}{row.parameters / 1e6:>8.2f}M{row.macs / 1e9:>8.2f}  "
        f"{'x'.join(map(str, row.input[2:])):<9}{published:<22}{', '.join(row.weights) or 'random'}"
    )


def _as_json(row: ModelRow) -> dict[str, Any]:
    published = row.published
    return {
        "name": row.name,
        "family": row.family,
        "parameters": row.parameters,
        "macs": row.macs,
        "input": list(row.input),
        "published": {"top1": published.top1, "source": published.source} if published else None,
        "weights": list(row.weights),
    }


@click.group()
def cache() -> None:
    """Look at the cache of built engines and downloaded weights, or empty it.

    It lies in $EDGECNN_CACHE, else in edgecnn/ of the user's cache folder. Nothing in it is
    precious: engines are built again and weights fetched again when they are needed.
    """


@cache.command("list")
@options.speaking
def list_entries(*, speaker: Speaker) -> None:
    """List what is in the cache, the latest used first."""
    from edgecnn.files import human_size
    from edgecnn.runtime.cache import cache_dir, entries

    found = entries()
    for entry in found:
        age_days = (time.time() - entry.used_s) / 86_400
        size = human_size(entry.size_bytes)
        speaker.print(f"{entry.kind:<8} {size:>8}  {age_days:5.1f} days  {entry.about}")
    total = human_size(sum(entry.size_bytes for entry in found))
    speaker.print(f"{len(found)} entries, {total}, in {cache_dir()}")
    listed = [
        {
            "kind": item.kind,
            "about": item.about,
            "size_bytes": item.size_bytes,
            "path": str(item.path),
        }
        for item in found
    ]
    speaker.result({"format": 1, "folder": str(cache_dir()), "entries": listed})


@cache.command()
@options.speaking
def clear(*, speaker: Speaker) -> None:
    """Empty the cache."""
    from edgecnn.files import human_size
    from edgecnn.runtime.cache import cache_dir
    from edgecnn.runtime.cache import clear as clear_cache

    freed_bytes = clear_cache()
    speaker.print(f"{human_size(freed_bytes)} freed in {cache_dir()}")
    speaker.result({"format": 1, "freed_bytes": freed_bytes})
