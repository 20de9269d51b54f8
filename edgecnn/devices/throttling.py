"""Whether a board slowed itself down between two looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SINCE_BOOT = " since boot"


def throttle_causes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a board throttled between two readings of its facts; empty where it did not, or is mute.

    Counters and flags since boot count where they grew; a limit that is met now counts as it is.
    """
    first, last = (_counts(facts.get("throttling")) for facts in (before, after))
    causes = {
        cause.removesuffix(_SINCE_BOOT): None
        for cause, count in last.items()
        if count > first.get(cause, 0) or (count and f"{cause}{_SINCE_BOOT}" in last)
    }
    return tuple(causes)


def _counts(throttling: object) -> dict[str, int]:
    items = throttling.items() if isinstance(throttling, dict) else ()
    return {cause: count for cause, count in items if isinstance(count, int)}
