"""Which file is faster and by how much, and which ones nobody should choose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.profiling.records import Accuracy, Profile
from edgecnn.profiling.statistics import (
    CLAIM_CONFIDENCE,
    CONFIDENCE,
    MIN_RUNS_P99,
    Block,
    Interval,
    geometric_interval,
    quantile_intervals,
    ratio_interval,
    unpaired_ratio_interval,
)

_MS = 1e-6  # ms in a ns
# Two processes that run the same file settle a few percent apart (where their memory lies), which
# no number of blocks shows: smaller differences are not told as such.
_TELLABLE = 0.03


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in ms at 95 %; `p99` is None while `missing_runs` more are needed for it.

    `images_per_s` is there where throughput was asked for: the latencies are then those of runs
    that share the device with each other.
    """

    p50: Interval
    p90: Interval
    p99: Interval | None
    missing_runs: int
    images_per_s: Interval | None = None

    @property
    def cost(self) -> Interval:
        """What files are judged by: ms for an image where throughput was asked for, else p50."""
        rate = self.images_per_s
        if rate is None:
            return self.p50
        return Interval(1000 / rate.value, 1000 / rate.high, 1000 / rate.low)


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
    return Latency(p50, p90, p99[0] if p99 else None, missing, _rate(profile))


def _rate(profile: Profile) -> Interval | None:
    """Images a second, from the rates of the blocks."""
    if not profile.measurement.is_throughput:
        return None
    return geometric_interval([1e9 / float(block[0]) for block in profile.measurement.image_ns])


def names(profiles: Sequence[Profile]) -> tuple[str, ...]:
    """What to call each profile: model and precision, the file's name where that is not enough."""
    short = [f"{profile.contract.name} {profile.precision}" for profile in profiles]
    short = [
        name if short.count(name) == 1 else Path(profile.file).name
        for name, profile in zip(short, profiles, strict=True)
    ]
    short = [
        f"{name}, {profile.origin}" if profile.origin else name
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

    FP32 files of several reports are compared with that of the first. Where no file at all has
    such a twin, the first file stands in for it.
    """
    twins = tuple(_twin(index, profiles) for index in range(len(profiles)))
    if any(twin is not None for twin in twins):
        return twins
    return (None, *(0 for _ in profiles[1:]))


def compare(profile: Profile, against: Profile, *, use_marked: bool = False) -> Comparison:
    """How many times faster `profile` is than `against`, block by block where they ran together.

    Runs that are marked drifting, throttled or emulated give no verdict unless `use_marked`.
    """
    ratio, sure = speed_up(profile, against), speed_up(profile, against, CLAIM_CONFIDENCE)
    reason = _unlike(profile, against) or (None if use_marked else _marked(profile, against))
    if reason:
        return Comparison(profile.file, against.file, ratio, False, f"not compared: {reason}")
    differs = sure.low > 1 or sure.high < 1
    told = differs and abs(math.log(ratio.value)) > math.log1p(_TELLABLE)
    return Comparison(profile.file, against.file, ratio, told, _verdict(ratio, sure, told=told))


def speed_up(profile: Profile, against: Profile, confidence: float = CONFIDENCE) -> Interval:
    """How many times faster one profile is than another, whatever is said against them."""
    numerator, denominator = _judged(against), _judged(profile)
    together = profile.measurement.session == against.measurement.session
    if together and len(numerator) == len(denominator):
        return ratio_interval(numerator, denominator, confidence=confidence)
    return unpaired_ratio_interval(numerator, denominator, confidence=confidence)


def _judged(profile: Profile) -> tuple[Block, ...]:
    measured = profile.measurement
    return measured.image_ns if measured.is_throughput else measured.blocks


def _unlike(profile: Profile, against: Profile) -> str | None:
    """Why two measurements say nothing of each other."""
    ours, theirs = profile.measurement, against.measurement
    if ours.boundary != theirs.boundary:
        return f"{ours.boundary} and {theirs.boundary}"
    if ours.batch != theirs.batch and not ours.is_throughput:
        return f"{ours.batch} and {theirs.batch} images a run"
    return None


def _marked(profile: Profile, against: Profile) -> str | None:
    marks = {profile.state, against.state} - {"stable"}
    return " and ".join(sorted(marks)) or None


def on_front(
    profiles: Sequence[Profile], latencies: Sequence[Latency], *, use_marked: bool = False
) -> tuple[bool, ...]:
    """For each profile whether no other is both faster and more accurate, as measured.

    A profile without a measured accuracy is never on the front, nor is one whose run is marked,
    unless `use_marked`: nobody knows how fast it is.
    """
    points = {
        index: (-cost.value, top1.value)
        for index, top1, cost in _judgeable(profiles, latencies, use_marked=use_marked)
    }
    return tuple(
        (own := points.get(index)) is not None
        and not any(_beats(other, own) for other in points.values())
        for index in range(len(profiles))
    )


def clearly_beaten(
    profiles: Sequence[Profile], latencies: Sequence[Latency], *, use_marked: bool = False
) -> tuple[int | None, ...]:
    """For each profile the index of the fastest that clearly beats it, if one does.

    That is: faster and more accurate, with intervals that do not touch, and neither run marked,
    unless `use_marked`.
    """
    measured = _judgeable(profiles, latencies, use_marked=use_marked)
    beaten: list[int | None] = [None] * len(profiles)
    for index, top1, cost in measured:
        better = [
            (other_cost.value, other)
            for other, other_top1, other_cost in measured
            if other_cost.high < cost.low and other_top1.low > top1.high
        ]
        beaten[index] = min(better)[1] if better else None
    return tuple(beaten)


def _judgeable(
    profiles: Sequence[Profile], latencies: Sequence[Latency], *, use_marked: bool
) -> list[tuple[int, Accuracy, Interval]]:
    """Index, top-1 and latency of the profiles that can be judged by both."""
    return [
        (index, each.accuracy.top1, found.cost)
        for index, (each, found) in enumerate(zip(profiles, latencies, strict=True))
        if each.accuracy and (use_marked or each.state == "stable")
    ]


def _twin(place: int, profiles: Sequence[Profile]) -> int | None:
    own = profiles[place]
    if "model" not in own.contract.provenance:
        return None
    floats = [
        index
        for index, other in enumerate(profiles)
        if other.precision == "fp32" and other.contract.name == own.contract.name
    ]
    if own.precision == "fp32":
        earlier = [i for i in floats if i < place and profiles[i].origin != own.origin]
        return min(earlier, default=None)
    beside = [index for index in floats if profiles[index].origin == own.origin]
    return min(beside or floats, default=None)


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
