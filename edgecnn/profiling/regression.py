"""Whether files became slower since a saved profile: what a CI job asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgecnn.errors import BudgetError, UsageError
from edgecnn.profiling.compare import compare, names, speed_up
from edgecnn.profiling.merge import differences
from edgecnn.profiling.records import Profile, Report
from edgecnn.profiling.report.words import printable
from edgecnn.profiling.statistics import CLAIM_CONFIDENCE, Interval

Answer = Literal["slower", "held", "cannot tell", "no older file"]


@dataclass(frozen=True, slots=True)
class Regression:
    """One file against the same one before: `slowdown` is how many times longer it takes, at 99 %.

    `answer` is what that says of the most that was allowed; None where nothing was.
    """

    file: str
    answer: Answer | None
    slowdown: Interval | None
    told: str

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        slowdown = self.slowdown and {
            "value": self.slowdown.value,
            "low": self.slowdown.low,
            "high": self.slowdown.high,
        }
        return {"file": self.file, "answer": self.answer, "slowdown": slowdown, "told": self.told}


def regressions(
    report: Report,
    older: Report,
    *,
    most: float | None,
    allow_mixed: bool = False,
    use_marked: bool = False,
) -> tuple[Regression, ...]:
    """Each file against the one of the same model and precision in an older report.

    `most` is the share by which it may be slower. A file is slower only where the whole interval
    says so. Raises UsageError where the two were not measured alike, unless `allow_mixed`.
    """
    mixed = tuple(differences((report, older), ("this run", "the baseline")))
    if mixed and not allow_mixed:
        raise UsageError(
            f"this run and the baseline were not measured alike: {'; '.join(mixed)}",
            hint="measure the baseline again, or compare all the same with --allow-mixed",
        )
    before = dict(zip(names(older.profiles), older.profiles, strict=True))
    pairs = zip(names(report.profiles), report.profiles, strict=True)
    return tuple(
        _regression(printable(name), profile, before.get(name), most, use_marked=use_marked)
        for name, profile in pairs
    )


def check_regressions(found: Sequence[Regression], *, where: str) -> None:
    """Raise BudgetError where a file is slower than it may be, UsageError where none was compared.

    A job that compares nothing must not pass as if nothing had become slower.
    """
    if all(each.answer == "no older file" for each in found):
        raise UsageError(
            f"{where} holds none of these files, so nothing was compared",
            hint="files are found by model and precision: measure the baseline with these files",
        )
    slower = [each for each in found if each.answer == "slower"]
    if slower:
        raise BudgetError(
            f"slower than in {where}: {'; '.join(each.told for each in slower)}",
            hint=f"see both side by side: edgecnn report {where} NEW.json",
        )


def _regression(
    name: str, profile: Profile, before: Profile | None, most: float | None, *, use_marked: bool
) -> Regression:
    if before is None:
        return Regression(
            profile.file, "no older file", None, f"{name}: not in the baseline, not compared"
        )
    compared = compare(profile, before, use_marked=use_marked)
    if compared.verdict.startswith("not compared"):
        answer: Answer | None = None if most is None else "cannot tell"
        return Regression(profile.file, answer, None, f"{name}: {compared.verdict}")
    # The inverse of how many times faster the new one is.
    slowdown = speed_up(before, profile, CLAIM_CONFIDENCE)
    answer = None if most is None else _answer(slowdown, most)
    return Regression(profile.file, answer, slowdown, f"{name}: {_told(slowdown, answer, most)}")


def _answer(slowdown: Interval, most: float) -> Answer:
    limit = 1 + most
    if slowdown.low > limit:
        return "slower"
    return "held" if slowdown.high <= limit else "cannot tell"


def _told(slowdown: Interval, answer: Answer | None, most: float | None) -> str:
    low, value, high = ((each - 1) * 100 for each in (slowdown.low, slowdown.value, slowdown.high))
    change = (
        f"takes {abs(value):.1f} % {'longer' if value > 0 else 'less'} ({low:+.1f} to {high:+.1f})"
    )
    if answer is None or most is None:
        return change
    ends = {
        "slower": f"more than the {most:.1%} allowed",
        "held": f"within {most:.1%}",
        "cannot tell": f"whether that is within {most:.1%} cannot be told: measure longer",
    }
    return f"{change}: {ends[answer]}"
