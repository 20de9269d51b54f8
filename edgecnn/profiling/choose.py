"""The most accurate file that is fast enough, and why others are not it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgecnn.counted import counted
from edgecnn.errors import BudgetError, DataError
from edgecnn.profiling.records import Accuracy, Profile
from edgecnn.profiling.report.summary import Row, Summary
from edgecnn.profiling.report.words import drops, like, percent, value_and_error
from edgecnn.profiling.statistics import Interval

Percentile = Literal["p50", "p90", "p99"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost: ms at a percentile, and top-1 against its FP32 file as a share.

    None is no limit.
    """

    max_latency_ms: float | None = None
    max_drop: float | None = None
    percentile: Percentile = "p50"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file: what keeps it from being chosen, and what is only likely about it."""

    row: Row
    against: tuple[str, ...]
    likely: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it keeps to all limits as measured."""
        return not self.against

    @property
    def top1(self) -> Accuracy | None:
        """Its measured accuracy."""
        evaluation = self.row.profile.accuracy
        return evaluation.top1 if evaluation else None


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen file, and all others: the more accurate first, then those without accuracy."""

    chosen: Candidate
    others: tuple[Candidate, ...]
    limits: Limits


def choose(summary: Summary, limits: Limits, *, use_marked: bool = False) -> Choice:
    """The most accurate file within the limits, the faster of two that are alike.

    Raises DataError where no accuracy was measured, BudgetError where no file fits.
    """
    if not summary.has_accuracy:
        raise DataError(
            "no accuracy was measured, so there is nothing to choose by",
            hint="profile the files with labelled images: edgecnn profile FILE... --data DIR",
        )
    found = [_candidate(row, limits, use_marked=use_marked) for row in summary.rows]
    ranked = sorted(found, key=_rank)
    chosen = next((each for each in ranked if each.fits), None)
    if chosen is None:
        reasons = "; ".join(f"{each.row.name}: {' and '.join(each.against)}" for each in ranked)
        raise BudgetError(f"no file fits. {reasons}", hint=_advice(found, limits))
    return Choice(chosen, tuple(each for each in ranked if each is not chosen), limits)


def _advice(found: Sequence[Candidate], limits: Limits) -> str:
    """What would let a file fit: time does not help where only a run's mark speaks against it."""
    if any(_candidate(each.row, limits, use_marked=True).fits for each in found):
        return "measure again once the device is steady, or take marked runs, too: --use-marked"
    return "allow more time, or a larger drop"


def why_not(candidate: Candidate, chosen: Candidate) -> str:
    """Why a file was not taken, in words."""
    if candidate.against:
        return " and ".join(candidate.against)
    ours, theirs = candidate.top1, chosen.top1
    if ours is not None and theirs is not None and ours.value < theirs.value:
        return f"fits, but its top-1 is {percent(ours)} %"
    return "fits and is as accurate, but slower"


def choice_document(choice: Choice) -> dict[str, Any]:
    """`choose --json`."""
    limits = choice.limits
    return {
        "format": 1,
        "chosen": choice.chosen.row.profile.file,
        "likely": list(choice.chosen.likely),
        "limits": {
            "max_latency_ms": limits.max_latency_ms,
            "percentile": limits.percentile,
            "max_drop": None if limits.max_drop is None else limits.max_drop * 100,
        },
        "others": [
            {"file": each.row.profile.file, "why_not": why_not(each, choice.chosen)}
            for each in choice.others
        ],
    }


def choice_text(choice: Choice) -> str:
    """What was chosen and why the others were not, a line each."""
    width = max(len(each.row.name) for each in (choice.chosen, *choice.others))
    lines = [f"chosen  {choice.chosen.row.name:<{width}}  {_praise(choice.chosen, choice.limits)}"]
    lines += [
        f"not     {each.row.name:<{width}}  {why_not(each, choice.chosen)}"
        for each in choice.others
    ]
    return "\n".join([*lines, *(f"But {doubt}." for doubt in choice.chosen.likely)])


def _praise(candidate: Candidate, limits: Limits) -> str:
    latency = _latency(candidate.row, limits.percentile)
    parts = [f"top-1 {percent(candidate.top1)} %"] if candidate.top1 else []
    if latency is not None:
        parts.append(f"{limits.percentile} {value_and_error(latency)} ms")
    if drop := _drop(candidate.row.profile):
        parts.append(f"{drops(drop)} against FP32")
    return ", ".join(parts)


def _rank(candidate: Candidate) -> tuple[bool, float, float]:
    top1 = candidate.top1
    return top1 is None, -(top1.value if top1 else 0.0), candidate.row.latency.cost.value


def _candidate(row: Row, limits: Limits, *, use_marked: bool) -> Candidate:
    against, likely = list[str](), list[str]()
    if row.profile.accuracy is None:
        against.append("no accuracy was measured")
    if row.profile.state != "stable" and not use_marked:
        against.append(f"its run was {row.profile.state}")
    for problem, doubt in (_too_slow(row, limits), _too_lossy(row.profile, limits)):
        against += [problem] if problem else []
        likely += [doubt] if doubt else []
    return Candidate(row, tuple(against), tuple(likely))


def _too_slow(row: Row, limits: Limits) -> tuple[str, str]:
    """What is wrong with its latency, and what is doubtful."""
    limit, name = limits.max_latency_ms, limits.percentile
    if limit is None:
        return "", ""
    found = _latency(row, name)
    if found is None:
        more = counted(row.latency.missing_runs, "more run is", "more runs are")
        return f"its {name} is not known: {more} needed", ""
    if found.value > limit:
        return f"{name} {like(found.value, found)} ms is over {limit:g}", ""
    upper = like(found.high, found) if math.isfinite(found.high) else "any number of"
    reaches = f"its {name} may be {upper} ms"
    return "", reaches if found.high > limit else ""


def _too_lossy(profile: Profile, limits: Limits) -> tuple[str, str]:
    """What is wrong with its accuracy against FP32, and what is doubtful."""
    limit = limits.max_drop
    if limit is None or profile.precision == "fp32" or profile.accuracy is None:
        return "", ""
    drop = _drop(profile)
    if drop is None:
        return "its drop is not known: FP32 was not measured beside it", ""
    if drop.value > limit:
        return f"its top-1 {drops(drop)}, over {limit * 100:g}", ""
    reaches = f"its drop may be {drop.high * 100:.1f} points"
    return "", reaches if drop.high > limit else ""


def _drop(profile: Profile) -> Accuracy | None:
    paired = profile.accuracy.paired if profile.accuracy else None
    return paired.drop if paired else None


def _latency(row: Row, percentile: Percentile) -> Interval | None:
    latency = row.latency
    return {"p50": latency.p50, "p90": latency.p90, "p99": latency.p99}[percentile]
