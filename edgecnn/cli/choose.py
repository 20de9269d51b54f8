"""The most accurate file that is fast enough: `choose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli import options
from edgecnn.cli.reports import read_saved
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.profiling.choose import Percentile
    from edgecnn.profiling.records import Report


@click.command()
@click.argument("subjects", nargs=-1, metavar="[FILE|MODEL]...")
@click.option("--max-latency", type=options.milliseconds, help="The longest it may take: 20ms.")
@click.option("--max-drop", type=options.points, help="Points of top-1 it may lose to FP32: 0.5.")
@click.option(
    "--percentile",
    type=click.Choice(["p50", "p90", "p99"]),
    default="p50",
    show_default=True,
    help="Which latency --max-latency is about.",
)
@click.option(
    "--data", type=options.FILE, help="Labelled images, to measure what is no saved profile."
)
@click.option("--device", default="local", show_default=True, help="Where to measure them.")
@options.engine
@options.threads
@options.allow_mixed
@options.use_marked
@options.speaking
def choose(
    *,
    speaker: Speaker,
    subjects: tuple[str, ...],
    max_latency: float | None,
    max_drop: float | None,
    percentile: Percentile,
    data: Path | None,
    device: str,
    engine: str,
    threads: int | None,
    allow_mixed: bool,
    use_marked: bool,
) -> None:
    """Choose the most accurate file that is fast enough.

    It says why not the others. From saved profiles (FILE.json), or from what `profile` takes, .onnx
    files, names of networks or nothing for seven well-known ones, which --data then measures. Only
    measured accuracy counts; what its interval leaves in doubt is said.

    \b
    edgecnn choose profile-20261121-1405.json --max-latency 20ms
    edgecnn choose *.onnx --data labelled/ --max-latency 20ms --max-drop 0.5
    edgecnn choose --data labelled/ --max-latency 20ms --max-drop 0.5 --device jetson
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.profiling.choose import Limits, choice_document, choice_text
    from edgecnn.profiling.choose import choose as choose_from
    from edgecnn.profiling.report import summarize

    saved = [subject.lower().endswith(".json") for subject in subjects]
    if any(saved) and all(saved):
        report = read_saved([Path(subject) for subject in subjects], allow_mixed=allow_mixed)
    elif any(saved) or data is None:
        raise click.UsageError("give saved profiles alone, or files or names and --data")
    else:
        report = _measured(
            speaker, subjects, device=device, data=data, engine=engine, threads=threads
        )
    summary = summarize(report, use_marked=use_marked)
    choice = choose_from(summary, Limits(max_latency, max_drop, percentile), use_marked=use_marked)
    speaker.print(choice_text(choice))
    speaker.result(choice_document(choice))


def _measured(
    speaker: Speaker,
    subjects: Sequence[str],
    *,
    device: str,
    data: Path,
    engine: str,
    threads: int | None,
) -> Report:
    """What was named, profiled; a device that nobody has is told before networks are made."""
    from edgecnn.devices.find import find_device
    from edgecnn.pipeline.measure import ProfileOptions, profile
    from edgecnn.pipeline.standing import profile_subjects, refuse_all_random
    from edgecnn.profiling.run import Options

    find_device(device)
    measuring = Options(engine=engine, threads=threads)
    files = profile_subjects(subjects, engine=engine, seed=measuring.seed, narrator=speaker)
    refuse_all_random(files)
    chosen = ProfileOptions(device=device, data=data, measuring=measuring)
    return profile(files, options=chosen, narrator=speaker)
