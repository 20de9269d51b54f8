"""Whether a measurement can be trusted: the mark that stands beside its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edgecnn.profiling.records import State
from edgecnn.profiling.statistics import MIN_BLOCKS, drift_interval

_DRIFT = 0.05  # a smaller change between the halves of a run is no news


def state_of(blocks: Sequence[NDArray[Any]], *, emulated: str | None) -> State:
    """`emulated`, `drifting` (the second half was clearly faster or slower) or `stable`."""
    if emulated:
        return "emulated"
    if len(blocks) < MIN_BLOCKS:
        return "stable"
    drift = drift_interval(blocks)
    clear = drift.low > 1 or drift.high < 1
    return "drifting" if clear and abs(drift.value - 1) > _DRIFT else "stable"
