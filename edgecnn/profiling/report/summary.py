"""A report worked out once: what text, JSON and HTML all show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecnn.counted import counted
from edgecnn.profiling.compare import (
    Comparison,
    Latency,
    baselines,
    clearly_beaten,
    compare,
    latency,
    names,
    on_front,
)
from edgecnn.profiling.layers import Roofs, TimedLayer, TimedLayers, roofs_of
from edgecnn.profiling.records import Profile, Report
from edgecnn.profiling.report.words import drops, printable
from edgecnn.profiling.statistics import MIN_RUNS_P99

_BUSY_SHARE = 0.9  # of one thread's time on the CPU: below it, others took it
_FEW = 3  # comparisons that are told one by one
NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class Row:
    """One file as all forms of the report show it; `against` is the name of its baseline.

    `roofs` are those over its layers. Names and models are printable, whatever stands in the file.
    """

    name: str
    model: str
    profile: Profile
    latency: Latency
    comparison: Comparison | None
    against: str | None
    on_front: bool
    beaten_by: str | None
    roofs: Roofs

    @property
    def layers(self) -> TimedLayers | None:
        """Its layers, as far as they were asked for and could be timed."""
        found = self.profile.layers
        return found if found and found.layers else None


@dataclass(frozen=True, slots=True)
class Summary:
    """A report with its rows and what they say in sentences."""

    report: Report
    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def is_throughput(self) -> bool:
        """Whether files are judged by images a second."""
        return any(row.latency.images_per_s for row in self.rows)

    @property
    def has_accuracy(self) -> bool:
        """Whether any file's accuracy was measured."""
        return any(row.profile.accuracy for row in self.rows)


def summarize(report: Report, *, use_marked: bool = False) -> Summary:
    """Work out percentiles, comparisons, the front, and the sentences that follow from them.

    `use_marked` gives verdicts on runs that were not steady, too.
    """
    rows = _rows(report.profiles, use_marked=use_marked)
    sentences = (*_compared(rows), *_chosen(rows), *_engines(rows))
    imprecise = _imprecise(rows, report.precision_asked)
    return Summary(report, rows, sentences, (*_about(report), *_warnings(rows), *imprecise))


def _about(report: Report) -> tuple[str, ...]:
    """What to beware of in the report as a whole."""
    missing = report.blocks_missing
    stopped = f"Interrupted: {counted(missing, 'block')} fewer than planned." if missing else ""
    mixed = f"Not measured alike: {'; '.join(report.mixed)}." if report.mixed else ""
    return tuple(filter(None, (stopped, mixed or _elsewhere(report))))


def _elsewhere(report: Report) -> str:
    """Accuracies of another machine than the one that was timed."""
    found = (each.accuracy for each in report.profiles if each.accuracy is not None)
    places = sorted({each.device for each in found} - {report.device_name})
    where = printable(" and ".join(places))
    return f"Accuracy is that of {where}, not of {report.device_name}." if places else ""


def _rows(profiles: Sequence[Profile], *, use_marked: bool) -> tuple[Row, ...]:
    called = tuple(map(printable, names(profiles)))
    base = baselines(profiles)
    latencies = tuple(map(latency, profiles))
    roofs = _roofs(profiles)
    front = on_front(profiles, latencies, use_marked=use_marked)
    beaten = clearly_beaten(profiles, latencies, use_marked=use_marked)
    return tuple(
        Row(
            name=called[i],
            model=printable(profile.contract.name),
            profile=profile,
            latency=latencies[i],
            comparison=(
                None
                if (j := base[i]) is None
                else compare(profile, profiles[j], use_marked=use_marked)
            ),
            against=None if j is None else called[j],
            on_front=front[i],
            beaten_by=None if (k := beaten[i]) is None else called[k],
            roofs=roofs[_under_one_roof(profile)],
        )
        for i, profile in enumerate(profiles)
    )


def _under_one_roof(profile: Profile) -> tuple[str, str, int]:
    """Files that share a device, an engine and its threads share their roofs."""
    return profile.origin, profile.measurement.engine, profile.measurement.threads


def _roofs(profiles: Sequence[Profile]) -> dict[tuple[str, str, int], Roofs]:
    layers: dict[tuple[str, str, int], list[TimedLayer]] = {}
    for profile in profiles:
        own = layers.setdefault(_under_one_roof(profile), [])
        own += profile.layers.layers if profile.layers else ()
    return {key: roofs_of(found) for key, found in layers.items()}


def published_top1(profile: Profile) -> float | None:
    """The accuracy in percent that others state for these weights; only FP32 files have them."""
    published = profile.contract.provenance.get("published")
    if profile.precision != "fp32" or profile.contract.random_weights:
        return None
    if isinstance(published, Mapping) and isinstance(published.get("top1"), (int, float)):
        return float(published["top1"])
    return None


def published_source(profile: Profile) -> str:
    """Who states that accuracy, '' where nobody is named."""
    published = profile.contract.provenance.get("published")
    source = published.get("source") if isinstance(published, Mapping) else None
    return printable(str(source)) if source else ""


def _compared(rows: Sequence[Row]) -> tuple[str, ...]:
    """How much faster: each pair where they are few, their range where they are many."""
    compared = [row for row in rows if row.comparison]
    if not compared:
        return (_fastest(rows),)
    judged = [row for row in compared if not _is_left_out(row)]
    left_out = [row for row in compared if _is_left_out(row)]
    told = map(_told, judged) if len(compared) <= _FEW else [_range(judged)]
    return tuple(filter(None, (*told, _left_out(left_out))))


def _left_out(rows: Sequence[Row]) -> str:
    """Who was not compared, and why; of several how many: `7 files were not compared: throttled.`.

    That is said once: a page that begins with it three times says nothing else.
    """
    if not rows:
        return ""
    verdicts = [row.comparison.verdict for row in rows if row.comparison]
    why = dict.fromkeys(verdict.removeprefix(f"{NOT_COMPARED}: ") for verdict in verdicts)
    alone = f"{rows[0].name} was not compared with {rows[0].against}"
    who = alone if len(rows) == 1 else f"{len(rows)} files were not compared"
    return f"{who}: {', '.join(why)}."


def _is_left_out(row: Row) -> bool:
    return row.comparison is not None and row.comparison.verdict.startswith(NOT_COMPARED)


def _range(compared: Sequence[Row]) -> str:
    ratios = [row.comparison.ratio.value for row in compared if row.comparison]
    if not ratios:
        return ""
    sure = sum(row.comparison.differs for row in compared if row.comparison)
    hold = "holds" if sure == 1 else "hold"
    what = (
        "INT8 is" if all(row.profile.precision == "int8" for row in compared) else "The files are"
    )
    return (
        f"{what} {min(ratios):.2f} to {max(ratios):.2f} times as fast as {_bases(compared)};"
        f" {sure} of {counted(len(ratios), 'difference')} {hold} at 99 %."
    )


def _bases(compared: Sequence[Row]) -> str:
    against = {row.against for row in compared}
    return str(against.pop()) if len(against) == 1 else "FP32"


def _told(row: Row) -> str:
    if row.comparison is None or not row.comparison.differs:
        verdict = row.comparison.verdict if row.comparison else ""
        return f"Between {row.name} and {row.against} {verdict}."
    sentence = f"{row.name} is {row.comparison.verdict} than {row.against}"
    paired = row.profile.accuracy.paired if row.profile.accuracy else None
    if paired is None or paired.against != row.comparison.against:
        return f"{sentence}."
    return f"{sentence}, and its top-1 {drops(paired.drop)}."


def _fastest(rows: Sequence[Row]) -> str:
    best = min(rows, key=lambda row: row.latency.cost.value)
    if rate := best.latency.images_per_s:
        does = f"{rate.value:.3g} images/s ({rate.low:.3g}-{rate.high:.3g})"
        return f"{best.name} {'does' if len(rows) == 1 else 'is the fastest:'} {does}."
    p50 = best.latency.p50
    takes = f"{p50.value:.3g} ms ({p50.low:.3g}-{p50.high:.3g})"
    return f"{best.name} {'takes' if len(rows) == 1 else 'is the fastest:'} {takes}."


def _chosen(rows: Sequence[Row]) -> tuple[str, ...]:
    """What accuracy against latency says."""
    front = [row.name for row in rows if row.on_front]
    told = [f"On the front: {', '.join(front)}."] if front and len(rows) > 1 else []
    told += [
        f"{row.name} is slower and less accurate than {row.beaten_by}."
        for row in rows
        if row.beaten_by
    ]
    return tuple(told)


def _engines(rows: Sequence[Row]) -> tuple[str, ...]:
    """What chose the engine of each file, where something did."""
    told = ((row.name, row.profile.measurement.facts.get("auto")) for row in rows)
    return tuple(f"For {name} auto {why}." for name, why in told if why)


def _warnings(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(filter(None, (_marked(rows), _busy(rows), _short(rows))))


def _marked(rows: Sequence[Row]) -> str:
    marked = [row for row in rows if row.profile.state != "stable"]
    told = ", ".join(map(_mark, marked[:_FEW]))
    states = Counter(row.profile.state for row in marked[_FEW:])
    more = "".join(f", and {count} more {state}" for state, count in states.items())
    return f"Not a steady run: {told}{more}." if marked else ""


def _mark(row: Row) -> str:
    why = f" ({printable(row.profile.why)})" if row.profile.why else ""
    return f"{row.name} {row.profile.state}{why}"


def _busy(rows: Sequence[Row]) -> str:
    measured = (row.profile.measurement for row in rows if row.profile.state != "throttled")
    shares = [each.cpu_share for each in measured if each.threads == 1]
    if not shares or min(shares) >= _BUSY_SHARE:
        return ""
    return f"Others took the CPU: runs had {min(shares) * 100:.0f} % of their core's time."


def _imprecise(rows: Sequence[Row], asked: float | None) -> tuple[str, ...]:
    """What the time did not suffice for, the worst first."""
    known_to = ((row.latency.cost.half_width / row.latency.cost.value, row.name) for row in rows)
    worse = sorted((pair for pair in known_to if pair[0] > (asked or math.inf)), reverse=True)
    if asked is None or not worse:
        return ()
    told = ", ".join(f"{name} ({share * 100:.1f} %)" for share, name in worse[:_FEW])
    more = f", and {len(worse) - _FEW} more" if len(worse) > _FEW else ""
    return (f"Known less well than to the {asked * 100:g} % asked for: {told}{more}.",)


def _short(rows: Sequence[Row]) -> str:
    runs = [len(row.profile.measurement.latencies_ns) for row in rows if row.latency.missing_runs]
    if not runs:
        return ""
    return (
        f"No p99 from {min(runs)} runs: {MIN_RUNS_P99} are needed for one that holds;"
        " the table says how many more."
    )
