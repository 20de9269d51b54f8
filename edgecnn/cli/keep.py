"""The verb that looks after the cache."""

from __future__ import annotations

import time

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.counted import counted


@click.group()
def cache() -> None:
    """Look at the cache of engines and weights, or empty it.

    It lies in $EDGECNN_CACHE, else in edgecnn/ of the user's cache folder. Nothing in it is
    precious: engines are built again and weights fetched again when they are needed, and an
    interrupted calibration begins anew. Engines that were not used for a day are removed, the
    longest unused first, while all of them take more than $EDGECNN_CACHE_LIMIT_GB (4).
    """


@cache.command("list")
@options.speaking
def list_entries(*, speaker: Speaker) -> None:
    """List what is in the cache, the latest used first."""
    from edgecnn.files import human_size
    from edgecnn.runtime.cache import cache_dir, engines_limit_bytes, entries

    found, limit_bytes = entries(), engines_limit_bytes()
    for entry in found:
        age_days = (time.time() - entry.used_s) / 86_400
        size = human_size(entry.size_bytes)
        speaker.print(f"{entry.kind:<11} {size:>8}  {age_days:5.1f} days  {entry.about}")
    total_bytes = sum(entry.size_bytes for entry in found)
    engines_bytes = sum(entry.size_bytes for entry in found if entry.kind == "engine")
    many = counted(len(found), "entry", "entries")
    speaker.print(f"{many}, {human_size(total_bytes)}, in {cache_dir()}")
    speaker.print(f"engines take {human_size(engines_bytes)}, limit {human_size(limit_bytes)}")
    listed = [
        {
            "kind": item.kind,
            "about": item.about,
            "size_bytes": item.size_bytes,
            "path": str(item.path),
        }
        for item in found
    ]
    sizes = {"engines_bytes": engines_bytes, "engines_limit_bytes": limit_bytes}
    speaker.result({"format": 1, "folder": str(cache_dir()), **sizes, "entries": listed})


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
