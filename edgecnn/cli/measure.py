"""Verbs that measure: evaluate, profile."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.measure import ProfileOptions
    from edgecnn.profiling.records import Evaluation, Report

_DATA_HELP = "Labelled images: a folder per class, or a .tsv/.csv of file and class index."


@click.command()
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--data", type=options.FILE, required=True, help=_DATA_HELP)
@click.option("--against", type=options.FILE, help="Compare with this file  [the first FILE]")
@options.class_offset
@options.engine
@options.threads
@options.contract_options
@options.speaking
def evaluate(
    *,
    speaker: Speaker,
    files: tuple[Path, ...],
    data: Path,
    against: Path | None,
    class_offset: int | None,
    engine: str,
    threads: int | None,
    contract: ContractOptions,
) -> None:
    """Measure the accuracy of files as they ship.

    That is: on their engine, through their own preprocessing. With two files or --against, the
    images on which they differ are counted, too: how many went from right to wrong and back, and
    whether that can be chance (McNemar's exact test).
    --labels takes class names, or a .tsv/.csv table of file and class index.

    \b
    edgecnn evaluate mobilenetv2.int8.onnx --data labelled/
    edgecnn evaluate mobilenetv2.onnx mobilenetv2.int8.onnx --data labelled/
    """  # noqa: D301  \b is click's word for 'do not wrap'
    document = evaluate_files(
        speaker,
        files,
        data=data,
        against=against,
        contract=contract,
        class_offset=class_offset,
        engine=engine,
        threads=threads,
    )
    speaker.result(document)


def evaluate_files(
    speaker: Speaker,
    files: Sequence[Path],
    *,
    data: Path,
    against: Path | None,
    contract: ContractOptions,
    class_offset: int | None = None,
    engine: str = "onnxruntime",
    threads: int | None = None,
) -> dict[str, Any]:
    """Evaluate, print the table and return the document for `--json`."""
    from edgecnn.pipeline.measure import EvaluateOptions
    from edgecnn.pipeline.measure import evaluate as evaluate_all

    contract, table = split_labels(contract)
    chosen = EvaluateOptions(
        data=data,
        table=table,
        against=against,
        engine=engine,
        threads=threads,
        class_offset=class_offset,
        contract=contract,
    )
    results = evaluate_all(files, options=chosen, narrator=speaker)
    return show_evaluations(speaker, results)


def show_evaluations(speaker: Speaker, results: Sequence[Evaluation]) -> dict[str, Any]:
    """Print the table and return the document for `--json`."""
    from edgecnn.profiling.report import evaluation_document, evaluation_table

    speaker.print(evaluation_table(results))
    return evaluation_document(results)


def split_labels(contract: ContractOptions) -> tuple[ContractOptions, Path | None]:
    """`--labels` is a table of files where it ends like one, else class names."""
    from edgecnn.datasets.tables import is_table

    labels = contract.labels
    if labels is None or not is_table(labels):
        return contract, None
    return dataclasses.replace(contract, labels=None), labels


@click.command()
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--device",
    "devices",
    multiple=True,
    default=("local",),
    show_default=True,
    metavar="DEVICE",
    help="Where: local, ssh://user@host or a name (edgecnn devices); several run at once.",
)
@click.option(
    "--estimate", is_flag=True, help="Measure nothing: estimate for a board: jetson-orin-nano."
)
@click.option("--data", type=options.FILE, help=f"{_DATA_HELP} Gives accuracy beside latency.")
@options.class_offset
@click.option("--images", type=options.FILE, help="Inputs to measure with  [--data or procedural]")
@click.option(
    "--boundary",
    type=click.Choice(["engine", "frame"]),
    default="engine",
    show_default=True,
    help="engine: input ready to output; frame: uint8 frame to label.",
)
@click.option("--batch", type=click.IntRange(1), help="Images a run  [the file's]")
@click.option(
    "--precision",
    type=click.FloatRange(0.001, 1),
    default=0.02,
    show_default=True,
    help="Measure until medians are known to this share.",
)
@click.option(
    "--time-limit", "time_limit_s", type=click.FloatRange(1), default=60, show_default=True,
    help="Seconds of measuring at most.",
)  # fmt: skip
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
    files: tuple[Path, ...],
    devices: tuple[str, ...],
    estimate: bool,
    data: Path | None,
    class_offset: int | None,
    images: Path | None,
    boundary: Literal["engine", "frame"],
    batch: int | None,
    precision: float,
    time_limit_s: float,
    output: Path | None,
    engine: str,
    threads: int | None,
    seed: int,
    contract: ContractOptions,
    force: bool,
) -> None:
    """Measure latency, and accuracy beside it, of files as they ship.

    All files are loaded, warmed up and visited in random interleaved blocks, so that a slow minute
    of the machine falls on all of them. Writes a report: profile-DATE.html, or -o FILE.

    \b
    edgecnn profile mobilenetv2.onnx mobilenetv2.int8.onnx --threads 1
    edgecnn profile *.onnx --data labelled/ -o report.html
    edgecnn profile mobilenetv2.int8.onnx --device jetson --device ssh://pi@raspberrypi.local
    edgecnn profile mobilenetv2.int8.onnx --device jetson-orin-nano --estimate
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.cli.estimates import show_estimates
    from edgecnn.pipeline.measure import ProfileOptions
    from edgecnn.pipeline.measure import profile as profile_all
    from edgecnn.profiling.run import Options

    contract, table = split_labels(contract)
    if estimate:
        show_estimates(speaker, files, devices, contract)
        return
    measuring = Options(
        engine=engine,
        threads=threads,
        batch=batch,
        boundary=boundary,
        precision=precision,
        time_limit_s=time_limit_s,
        seed=seed,
    )
    chosen = ProfileOptions(
        device=devices[0],
        images=images,
        data=data,
        table=table,
        class_offset=class_offset,
        contract=contract,
        measuring=measuring,
    )
    if output is not None:
        from edgecnn.pipeline.export import check_target

        if output.suffix.lower() not in (".html", ".htm"):
            raise click.BadParameter("the report is a page: name it FILE.html", param_hint="-o")
        check_target(output, force=force)
    if len(devices) > 1:
        _profile_on_several(speaker, devices, files, chosen, output)
        return
    report = profile_all(files, options=chosen, narrator=speaker)
    speaker.result(show_report(speaker, report, _target(speaker, report, output)))


def _profile_on_several(
    speaker: Speaker,
    devices: Sequence[str],
    files: Sequence[Path],
    chosen: ProfileOptions,
    output: Path | None,
) -> None:
    """One report a device; the first error is raised after those that answered were told."""
    from edgecnn.pipeline.several import profile_on

    if output is not None:
        raise click.UsageError("-o names one report: leave it out with several devices")
    found = profile_on(devices, files, options=chosen, narrator=speaker)
    documents = []
    for report in found.reports:
        speaker.print(f"\n{report.device_name}")
        target = _target(speaker, report, None, suffix=f"-{report.device_name}")
        documents.append(show_report(speaker, report, target))
    speaker.result({"format": 1, "reports": documents})
    for error in found.errors[1:]:
        speaker.warn(f"{error}  ({error.hint})")
    if found.errors:
        raise found.errors[0]


def _target(
    speaker: Speaker, report: Report, output: Path | None, *, suffix: str = ""
) -> Path | None:
    """Where the report goes; with --json nobody asked for a file, unless -o did."""
    from edgecnn.profiling.report import report_name

    if output is not None or speaker.as_json:
        return output
    name = Path(report_name(report.created))
    plain = "".join(char if char.isalnum() or char in "-_." else "_" for char in suffix)
    return name.with_stem(name.stem + plain)


def show_report(speaker: Speaker, report: Report, target: Path | None) -> dict[str, Any]:
    """Print the table, write the report and return the document for `--json`."""
    from edgecnn.profiling.report import profile_document, profile_table, summarize, write_html

    summary = summarize(report)
    speaker.print(f"\n{profile_table(summary)}")
    if target is not None:
        write_html(summary, target)
        speaker.print(f"Report: {target}")
    return profile_document(summary)
