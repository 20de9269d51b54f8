"""What is done with profiles: write them, read them again, compare them with older ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.several import Several
    from edgecnn.profiling.records import Report
    from edgecnn.profiling.report import Summary

_PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to come of a profile besides the table on the terminal."""

    output: Path | None = None
    plot: Path | None = None
    trace: Path | None = None
    baseline: Path | None = None
    fail_if_slower: float | None = None
    allow_mixed: bool = False
    use_marked: bool = False


@click.command()
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE.json...")
@options.allow_mixed
@options.use_marked
@options.plot
@options.trace
@options.output
@options.force
@options.speaking
def report(
    *,
    speaker: Speaker,
    files: tuple[Path, ...],
    allow_mixed: bool,
    use_marked: bool,
    plot: Path | None,
    trace: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Work a report out anew from saved profiles, one or several.

    They hold every sample: percentiles, intervals, marks and verdicts are computed again. Files of
    several reports are compared with FP32 beside them, FP32 files with that of the first report.
    What other devices, or the same one in another state, have measured is refused unless
    --allow-mixed. -o takes FILE.html, FILE.json, FILE.md or FILE.csv.

    \b
    edgecnn report profile-20261121-1405.json -o report.html
    edgecnn report before.json after.json --plot both.png
    edgecnn report board.json desktop.json --allow-mixed -o both.csv
    """  # noqa: D301  \b is click's word for 'do not wrap'
    outcome = Outcome(output, plot, trace, use_marked=use_marked)
    check_outcome(outcome, force=force)
    read = read_saved(files, allow_mixed=allow_mixed)
    speaker.result(show_report(speaker, read, [output], outcome))


def check_outcome(outcome: Outcome, *, force: bool, several: bool = False) -> None:
    """Refuse what cannot be written, or makes no sense, before anything is measured.

    Of `several` devices each has a report of its own, which -o, --plot and --baseline cannot name.
    """
    from edgecnn.profiling.report import FORMS, PICTURES

    if several and (outcome.output or outcome.plot or outcome.trace or outcome.baseline):
        raise click.UsageError(
            "-o, --plot, --trace and --baseline are of one report: leave them out with several "
            "devices"
        )
    if outcome.fail_if_slower is not None and outcome.baseline is None:
        raise click.UsageError("--fail-if-slower goes with --baseline OLD.json")
    wanted = (
        (outcome.output, tuple(FORMS), "-o"),
        (outcome.plot, PICTURES, "--plot"),
        (outcome.trace, (".json",), "--trace"),
    )
    for path, suffixes, hint in wanted:
        if path is not None and path.suffix.lower() not in suffixes:
            known = ", ".join(f"FILE{suffix}" for suffix in suffixes)
            raise click.BadParameter(f"{path}: name it {known}", param_hint=hint)
    from edgecnn.pipeline.export import check_target

    targets = (*_all_written(outcome.output), outcome.plot, outcome.trace)
    paths = [path for path in targets if path is not None]
    for path in paths:
        if paths.count(path) > 1:
            raise click.UsageError(f"{path} would be written twice: name them differently")
        check_target(path, force=force)
    if outcome.baseline is not None:
        from edgecnn.profiling.report import read_report

        read_report(outcome.baseline)  # one that cannot be read is told before minutes of work


def show_outcome(speaker: Speaker, report: Report, outcome: Outcome) -> None:
    """Tell and write a fresh report; raises BudgetError where a file is slower than it may be.

    Raises KeyboardInterrupt once all is written where the measuring was interrupted.
    """
    from edgecnn.profiling.report import report_name

    targets = _with_samples(outcome.output)
    if not targets and not speaker.as_json:  # with --json nobody asked for a file, unless -o did
        targets = _with_samples(Path(report_name(report.created)))
    document = show_report(speaker, report, targets, outcome)
    if outcome.baseline is None:
        speaker.result(document)
    else:
        _judge(speaker, report, outcome, document)
    if report.blocks_missing:
        raise KeyboardInterrupt


def show_several(speaker: Speaker, found: Several, *, use_marked: bool) -> None:
    """One report a device; the first error is raised after those that answered were told."""
    from edgecnn.profiling.report import report_name

    documents = []
    for report in found.reports:
        speaker.print(f"\n{report.device_name}")
        plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in report.device_name)
        name = Path(report_name(report.created))
        target = None if speaker.as_json else name.with_stem(f"{name.stem}-{plain}")
        outcome = Outcome(use_marked=use_marked)
        documents.append(show_report(speaker, report, _with_samples(target), outcome))
    speaker.result({"format": 1, "reports": documents})
    for error in found.errors[1:]:
        speaker.warn(f"{error}  ({error.hint})")
    if found.errors:
        raise found.errors[0]


def show_report(
    speaker: Speaker,
    report: Report,
    targets: Sequence[Path | None],
    outcome: Outcome,
) -> dict[str, Any]:
    """Print the table, write the report in each form and return the document for `--json`."""
    from edgecnn.profiling.report import profile_document, profile_table, summarize, write_report

    summary = summarize(report, use_marked=outcome.use_marked)
    speaker.print(f"\n{profile_table(summary)}")
    written = [target for target in targets if target is not None]
    for target in written:
        write_report(summary, target)
    if written:
        speaker.print(f"Report: {', '.join(str(target) for target in reversed(written))}")
    _draw(speaker, summary, outcome)
    return profile_document(summary)


def _draw(speaker: Speaker, summary: Summary, outcome: Outcome) -> None:
    from edgecnn.profiling.report import write_plot, write_trace

    if outcome.plot is not None:
        write_plot(summary, outcome.plot)
        speaker.print(f"Plot: {outcome.plot}")
    if outcome.trace is not None:
        write_trace(summary, outcome.trace)
        speaker.print(f"Trace: {outcome.trace}   open it in https://ui.perfetto.dev")


def _with_samples(output: Path | None) -> list[Path]:
    """A page and, written before it, the JSON with every sample; other forms stand alone."""
    if output is None:
        return []
    is_page = output.suffix.lower() in _PAGES
    return [output.with_suffix(".json"), output] if is_page else [output]


def _all_written(output: Path | None) -> list[Path]:
    """What `-o` writes: beside a CSV lie its layers."""
    from edgecnn.profiling.report import layers_beside

    is_csv = output is not None and output.suffix.lower() == ".csv"
    return [*_with_samples(output), *([layers_beside(output)] if output and is_csv else [])]


def read_saved(files: Sequence[Path], *, allow_mixed: bool) -> Report:
    """Saved reports as one; each file's name tells its rows from those of the others."""
    from edgecnn.profiling.merge import merged
    from edgecnn.profiling.report import read_report

    names = [path.stem for path in files]
    if len(set(names)) < len(names):
        names = [str(path) for path in files]
    return merged([read_report(path) for path in files], names, allow_mixed=allow_mixed)


def _judge(speaker: Speaker, report: Report, outcome: Outcome, document: dict[str, Any]) -> None:
    """Compare with the baseline, tell it, and fail where that was asked for."""
    from edgecnn.profiling.regression import check_regressions, regressions
    from edgecnn.profiling.report import read_report

    assert outcome.baseline is not None
    found = regressions(
        report,
        read_report(outcome.baseline),
        most=outcome.fail_if_slower,
        allow_mixed=outcome.allow_mixed,
        use_marked=outcome.use_marked,
    )
    speaker.print(f"\nAgainst {outcome.baseline}:")
    for each in found:
        speaker.print(f"  {each.told}")
    speaker.result(document | {"regressions": [each.document() for each in found]})
    check_regressions(found, where=str(outcome.baseline))
