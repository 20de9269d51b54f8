"""Latency, and accuracy beside it: `profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli import options
from edgecnn.cli.evaluate import split_labels
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.measure import ProfileOptions
    from edgecnn.pipeline.scheduler import Scheduler
    from edgecnn.pipeline.several import Several
    from edgecnn.runtime.worker import Boundary


@click.command()
@click.argument("subjects", nargs=-1, metavar="[FILE|MODEL]...")
@click.option(
    "--device",
    "devices",
    multiple=True,
    default=("local",),
    show_default=True,
    metavar="DEVICE",
    help="Where: local, ssh://user@host or a name (edgecnn devices), of --fleet a kind of board; "
    "several run at once.",
)
@options.fleet
@click.option(
    "--estimate", is_flag=True, help="Measure nothing: estimate for a board: jetson-orin-nano."
)
@click.option(
    "--data", type=options.FILE, help=f"{options.DATA_HELP} Gives accuracy beside latency."
)
@options.class_offset
@click.option("--images", type=options.FILE, help="Inputs to measure with  [--data or procedural]")
@click.option(
    "--boundary",
    type=click.Choice(["engine", "frame", "throughput"]),
    default="engine",
    show_default=True,
    help="engine: input ready to output; frame: uint8 frame to label; throughput: images a second "
    "of several runs at a time.",
)
@click.option(
    "--streams",
    type=click.IntRange(1),
    help="Runs at a time, for throughput  [a core each, or what --threads leaves]",
)
@click.option("--batch", type=click.IntRange(1), help="Images a run  [the file's]")
@click.option(
    "--precision",
    type=options.share,
    default="2%",
    show_default=True,
    help="Measure until medians are known to this share.",
)
@click.option(
    "--time-limit", "time_limit_s", type=click.FloatRange(1), default=60, show_default=True,
    help="Seconds of measuring at most.",
)  # fmt: skip
@click.option(
    "--source", help="Measure on a camera or a video: photon to label, --time-limit for each file."
)
@click.option("--baseline", type=options.FILE, help="Compare with this saved profile, FILE.json.")
@click.option(
    "--fail-if-slower",
    type=options.share,
    metavar="SHARE",
    help="Exit 1 where a file is slower than in --baseline by more than, say, 5%.",
)
@click.option(
    "--layers/--no-layers",
    default=True,
    show_default=True,
    help="Time the layers, too, once all else is measured.",
)
@options.allow_mixed
@options.use_marked
@options.plot
@options.trace
@options.output
@options.force
@options.engine
@options.threads
@options.seed
@options.contract_options
@options.speaking
def profile(
    *,
    speaker: Speaker,
    subjects: tuple[str, ...],
    devices: tuple[str, ...],
    scheduler: Scheduler | None,
    estimate: bool,
    data: Path | None,
    class_offset: int | None,
    images: Path | None,
    boundary: Boundary,
    streams: int | None,
    batch: int | None,
    precision: float,
    time_limit_s: float,
    source: str | None,
    baseline: Path | None,
    fail_if_slower: float | None,
    layers: bool,
    allow_mixed: bool,
    use_marked: bool,
    plot: Path | None,
    trace: Path | None,
    output: Path | None,
    engine: str,
    threads: int | None,
    seed: int,
    contract: ContractOptions,
    force: bool,
) -> None:
    """Measure latency, and accuracy beside it, of files as they ship.

    All files are loaded, warmed up and visited in random interleaved blocks, so that a slow minute
    of the machine falls on all of them. Writes profile-DATE.html and, with every sample,
    profile-DATE.json; or -o FILE.html (and its .json), FILE.json, FILE.md or FILE.csv. --trace
    writes the timeline of the layers for https://ui.perfetto.dev.
    Ctrl-C keeps what is measured, and the same command goes on from there.

    A MODEL's name stands for its FP32 and its INT8 file, made once; nothing at all stands for the
    comparison of seven well-known networks. Where no weights are here, these are random: then
    there is latency alone, and every row says so.

    \b
    edgecnn profile mobilenetv2.onnx mobilenetv2.int8.onnx --threads 1
    edgecnn profile *.onnx --data labelled/ -o report.html --trace trace.json
    edgecnn profile resnet18 mobilenetv2 --boundary throughput
    edgecnn profile net.onnx --baseline old.json --fail-if-slower 5%
    edgecnn profile mobilenetv2.int8.onnx --source v4l2:///dev/video0
    edgecnn profile mobilenetv2.int8.onnx --device jetson --device ssh://pi@raspberrypi.local
    edgecnn profile mobilenetv2.int8.onnx --device jetson-orin-nano --estimate
    edgecnn profile mobilenetv2.int8.onnx --fleet tls://scheduler:8786 --device jetson-orin
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.cli import reports
    from edgecnn.cli.estimates import show_estimates
    from edgecnn.cli.live import FromSource, profile_source
    from edgecnn.pipeline.measure import ProfileOptions
    from edgecnn.pipeline.standing import profile_subjects
    from edgecnn.profiling.run import Options

    contract, table = split_labels(contract)
    if trace and not layers:
        raise click.UsageError("--trace is of the layers: leave out --no-layers")
    outcome = reports.Outcome(
        output, plot, trace, baseline, fail_if_slower, allow_mixed, use_marked
    )
    reports.check_outcome(outcome, force=force, several=len(devices) > 1)
    if source is not None:
        _check_source(subjects)
    if scheduler is not None and estimate:
        raise click.UsageError("--fleet does not go with --estimate")
    _check_devices(() if estimate else devices, on_fleet=scheduler is not None)
    files = profile_subjects(subjects, engine=engine, seed=seed, narrator=speaker)
    if estimate:
        show_estimates(speaker, files, devices, contract)
        return
    if source is not None:
        profile_source(speaker, files, FromSource(source, time_limit_s, engine, threads, contract))
        return
    measuring = Options(
        engine=engine,
        threads=threads,
        batch=batch,
        boundary=boundary,
        streams=streams,
        precision=precision,
        time_limit_s=time_limit_s,
        seed=seed,
        layers=layers,
    )
    chosen = ProfileOptions(
        device=devices[0],
        images=images,
        data=data,
        table=table,
        class_offset=class_offset,
        contract=contract,
        measuring=measuring,
        keep_interrupted=True,
    )
    found = _measured(speaker, files, devices, scheduler, chosen)
    if len(devices) == 1 and found.reports:
        reports.show_outcome(speaker, found.reports[0], outcome)
    else:
        reports.show_several(speaker, found, use_marked=use_marked)


def _check_source(subjects: tuple[str, ...]) -> None:
    """A camera is looked at here, by files that are named, and the clock is all there is to say."""
    said = ("subjects", "source", "time_limit_s", "engine", "threads", "seed")
    options.refuse_all_but(*said, *options.contract_names(), told="--source")
    if not subjects:
        raise click.UsageError("--source: name the files that are to look at it")


def _check_devices(names: tuple[str, ...], *, on_fleet: bool) -> None:
    """A name that nobody has is told before networks are made."""
    from edgecnn.devices.find import find_device

    if on_fleet and "local" in names:
        raise click.UsageError("--fleet measures on a kind of board: name it, --device jetson-orin")
    for name in () if on_fleet else names:
        find_device(name)


def _measured(
    speaker: Speaker,
    files: Sequence[Path],
    devices: tuple[str, ...],
    scheduler: Scheduler | None,
    options: ProfileOptions,
) -> Several:
    from edgecnn.pipeline.fleet import profile_on_fleet
    from edgecnn.pipeline.measure import profile as profile_here
    from edgecnn.pipeline.several import Several, profile_on

    if scheduler is not None:
        return profile_on_fleet(devices, files, scheduler, options=options, narrator=speaker)
    if len(devices) > 1:
        return profile_on(devices, files, options=options, narrator=speaker)
    return Several((profile_here(files, options=options, narrator=speaker),), ())
