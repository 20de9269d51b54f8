"""Whether a measurement can be trusted: the mark that stands beside its numbers, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.counted import counted
from edgecnn.profiling.records import Around, Measurement, State
from edgecnn.profiling.statistics import MIN_BLOCKS, drift_interval

_DRIFT = 0.05  # a smaller change between the halves of a run is no news
_TAKEN = 0.15  # of the CPU time that runs asked for: from here on others had too much of it
_ON_CPU = ("onnxruntime", "openvino", "litert")


@dataclass(frozen=True, slots=True)
class Mark:
    """`stable`, or what is wrong with a run and, in words, why."""

    state: State
    why: str = ""


def mark_of(measured: Measurement, *, emulated: str | None) -> Mark:
    """The gravest of what can be said against a run.

    `emulated` beats `throttled` (heat, power, a quota or others held it back) beats `drifting`
    (the second half was clearly faster or slower).
    """
    if emulated:
        return Mark("emulated", emulated)
    if why := "; ".join(_held_back(measured)):
        return Mark("throttled", why)
    blocks = measured.image_ns if measured.is_throughput else measured.blocks
    if len(blocks) < MIN_BLOCKS:
        return Mark("stable")
    drift = drift_interval(blocks)
    change = drift.value - 1
    if (drift.low > 1 or drift.high < 1) and abs(change) > _DRIFT:
        how = f"{abs(change) * 100:.0f} % {'slower' if change > 0 else 'faster'}"
        return Mark("drifting", f"the second half was {how} than the first")
    return Mark("stable")


def _held_back(measured: Measurement) -> Iterator[str]:
    states = [block.state for block in measured.around if block.state]
    if states:
        counts = (measured.throttle_before, *(state["throttle_counts"] for state in states))
        yield from (_grew(name, count) for name, count in _growth(counts).items() if count)
        slowed = {name for state in states for name in state["held_back"]}
        yield from (f"slowed down by {name}" for name in sorted(slowed))
    if fallen := _clock_fell(measured.around):
        yield fallen
    taken = taken_share(measured)
    if taken > _TAKEN:
        yield f"others took {taken * 100:.0f} % of the CPU time that it asked for"


def _growth(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    """By how much each counter grew from one reading to the next.

    Not from the first to the last: a profile that goes on after an interruption has blocks that
    are older than its first reading, and a device that was started anew counts from zero.
    """
    last, *others = map(dict, counts)
    grown: Counter[str] = Counter()
    for reading in others:
        for name, count in reading.items():
            grown[name] += max(0, count - last.get(name, 0))
        last |= reading
    return grown


def _grew(name: str, count: int) -> str:
    return f"{name}: {counted(count, 'time')}"


def taken_share(measured: Measurement) -> float:
    """The share of the CPU time asked for that others had, 0..1, as far as anything tells.

    Of a single thread it shows in its CPU time too, which also sees a process that is stopped
    and continued; only an engine on the CPU asks for it all the time.
    """
    waited_ns = sum(block.waited_ns or 0 for block in measured.around)
    wall_ns = sum(block.wall_ns for block in measured.around)
    asked_ns = wall_ns * measured.threads * measured.streams
    waiting = waited_ns / asked_ns if asked_ns else 0.0
    alone = measured.threads * measured.streams == 1 and measured.engine in _ON_CPU
    return min(1.0, max(waiting, 1 - measured.cpu_share if alone else 0.0))


def _clock_fell(around: Sequence[Around]) -> str | None:
    """Clocks are read right after a block, when a governor has no reason to lower them."""
    clocks = [block.state.get("clock_mhz") for block in around]
    known = [float(clock) for clock in clocks if isinstance(clock, (int, float))]
    if len(known) < MIN_BLOCKS:
        return None
    before, after = (float(np.median(half)) for half in np.array_split(known, 2))
    if after >= before * (1 - _DRIFT):
        return None
    return f"the clock fell from {before:.0f} to {after:.0f} MHz"
