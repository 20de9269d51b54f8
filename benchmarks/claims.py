"""Whether what was measured is what is claimed: printed, and returned for the exit status."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.runtime.race import Ratio


def share_holds(what: str, share: Ratio, *, at_most: float) -> bool:
    """Say whether one ratio is as small as claimed."""
    return told(f"{what} {share.told}, at most {at_most}", share.value <= at_most)


def mean_holds(ratios: Sequence[float], *, mean_at_most: float, each_at_most: float) -> bool:
    """Say whether the geometric mean of ratios and the largest of them are as small as claimed."""
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return told(
        f"geometric mean {mean:.2f}, at most {mean_at_most}; "
        f"largest {max(ratios):.2f}, at most {each_at_most}",
        mean <= mean_at_most and max(ratios) <= each_at_most,
    )


def told(claim: str, held: bool) -> bool:
    """Print a claim with what came of it."""
    print(f"claim: {claim}: {'holds' if held else 'DOES NOT HOLD'}")
    return held
