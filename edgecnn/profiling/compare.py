"""Which file is faster and by how much, and which ones nobody should choose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.profiling.records import Profile
from edgecnn.profiling.statistics import (
    CLAIM_CONFIDENCE,
    MIN_RUNS_P99,
    Interval,
    quantile_intervals,
    ratio_interval,
)

_MS = 1e-6  # ms in a ns
# Two processes that run the same file settle a few percent apart (where their memory lies), which
# no number of blocks shows: smaller differences are not told as such.
_TELLABLE = 0.03


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in ms at 95 %; `p99` is None while `missing_runs` more are needed for it."""

    p50: Interval
    p90: Interval
    p99: Interval | None
    missing_runs: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One file against another: `ratio` is how many times faster it is, at 95 %.

    `differs` says whether that holds at 99 %, `verdict` the same in words.
    """

    file: str
    against: str
    ratio: Interval
    differs: bool
    verdict: str


def latency(profile: Profile) -> Latency:
    """The percentiles of a profile that its samples support."""
    blocks = profile.measurement.blocks
    missing = max(0, MIN_RUNS_P99 - len(profile.measurement.latencies_ns))
    shares = (0.5, 0.9) if missing else (0.5, 0.9, 0.99)
    p50, p90, *p99 = (found.scaled(_MS) for found in quantile_intervals(blocks, shares))
    return Latency(p50, p90, p99[0] if p99 else None, missing)


def names(profiles: Sequence[Profile]) -> tuple[str, ...]:
    """What to call each profile: model and precision, the file's name where that is not enough."""
    short = [f"{profile.contract.name} {profile.precision}" for profile in profiles]
    short = [
        name if short.count(name) == 1 else Path(profile.file).name
        for name, profile in zip(short, profiles, strict=True)
    ]
    seen: Counter[str] = Counter()
    named = []
    for name in short:
        seen[name] += 1
        named.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(named)


def baselines(profiles: Sequence[Profile]) -> tuple[int | None, ...]:
    """For each profile the index of what it is compared with: the FP32 file of the same model.

    Where no file at all has such a twin, the first file stands in for it.
    """
    twins = tuple(_twin(profile, profiles) for profile in profiles)
    if any(twin is not None for twin in twins):
        return twins
    return (None, *(0 for _ in profiles[1:]))


def compare(profile: Profile, against: Profile) -> Comparison:
    """How many times faster `profile` is than `against`, block by block."""
    pair = against.measurement.blocks, profile.measurement.blocks
    ratio, sure = ratio_interval(*pair), ratio_interval(*pair, confidence=CLAIM_CONFIDENCE)
    differs = sure.low > 1 or sure.high < 1
    told = differs and abs(math.log(ratio.value)) > math.log1p(_TELLABLE)
    if profile.measurement.batch != against.measurement.batch:
        batches = f"{profile.measurement.batch} and {against.measurement.batch} images a run"
        return Comparison(profile.file, against.file, ratio, False, f"not compared: {batches}")
    if "emulated" in (profile.state, against.state):
        return Comparison(profile.file, against.file, ratio, False, "not compared: emulated")
    return Comparison(profile.file, against.file, ratio, told, _verdict(ratio, sure, told=told))


def on_front(profiles: Sequence[Profile], latencies: Sequence[Latency]) -> tuple[bool, ...]:
    """For each profile whether no other is both faster and more accurate, as measured.

    A profile without a measured accuracy is never on the front.
    """
    points = [
        (-found.p50.value, each.accuracy.top1.value)
        for each, found in zip(profiles, latencies, strict=True)
        if each.accuracy
    ]
    return tuple(
        each.accuracy is not None
        and not any(_beats(other, (-found.p50.value, each.accuracy.top1.value)) for other in points)
        for each, found in zip(profiles, latencies, strict=True)
    )


def clearly_beaten(
    profiles: Sequence[Profile], latencies: Sequence[Latency]
) -> tuple[int | None, ...]:
    """For each profile the index of the fastest that clearly beats it, if one does.

    That is: faster and more accurate, with intervals that do not touch.
    """
    measured = [
        (index, each.accuracy.top1, found.p50)
        for index, (each, found) in enumerate(zip(profiles, latencies, strict=True))
        if each.accuracy
    ]
    beaten: list[int | None] = [None] * len(profiles)
    for index, top1, p50 in measured:
        better = [
            (other_p50.value, other)
            for other, other_top1, other_p50 in measured
            if other_p50.high < p50.low and other_top1.low > top1.high
        ]
        beaten[index] = min(better)[1] if better else None
    return tuple(beaten)


def _twin(profile: Profile, profiles: Sequence[Profile]) -> int | None:
    if profile.precision == "fp32" or "model" not in profile.contract.provenance:
        return None
    same = (
        index
        for index, other in enumerate(profiles)
        if other.precision == "fp32" and other.contract.name == profile.contract.name
    )
    return next(same, None)


def _verdict(ratio: Interval, sure: Interval, *, told: bool) -> str:
    if not told:
        blind = max(abs(sure.high - 1), abs(1 - sure.low), _TELLABLE)
        return f"no difference above {math.ceil(blind * 100)} % can be told"
    if ratio.value > 1:
        return f"{_times(ratio.value)}x faster ({_times(ratio.low)}-{_times(ratio.high)})"
    return f"{_times(1 / ratio.value)}x slower ({_times(1 / ratio.high)}-{_times(1 / ratio.low)})"


def _times(value: float) -> str:
    return f"{value:.{2 if value < 10 else 1}f}"


def _beats(better: tuple[float, float], worse: tuple[float, float]) -> bool:
    """At least as good in both, and better in one."""
    gains = (better[0] - worse[0], better[1] - worse[1])
    return min(gains) >= 0 and max(gains) > 0
