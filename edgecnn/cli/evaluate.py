"""The verb that measures accuracy: evaluate."""

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
    from edgecnn.pipeline.scheduler import Scheduler
    from edgecnn.profiling.records import Evaluation


@click.command()
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--data", type=options.FILE, required=True, help=options.DATA_HELP)
@click.option("--against", type=options.FILE, help="Compare with this file  [the first FILE]")
@click.option("--ensemble", is_flag=True, help="Average the answers of all FILEs, too.")
@click.option(
    "--views",
    type=click.Choice(["flip", "five", "ten"]),
    help="Average over the image and its mirror image, five crops, or both.",
)
@click.option(
    "--device", default="local", show_default=True, metavar="DEVICE",
    help="Where: local, ssh://user@host or a name (edgecnn devices); of --fleet a kind of board.",
)  # fmt: skip
@options.fleet
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
    ensemble: bool,
    views: Literal["flip", "five", "ten"] | None,
    device: str,
    scheduler: Scheduler | None,
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
    --ensemble and --views also average answers, and say what that costs in time.

    \b
    edgecnn evaluate mobilenetv2.int8.onnx --data labelled/
    edgecnn evaluate mobilenetv2.onnx mobilenetv2.int8.onnx --data labelled/
    edgecnn evaluate mobilenetv2.int8.onnx --data labelled/ --device jetson
    edgecnn evaluate mobilenetv2.int8.onnx --data labelled/ --fleet tls://scheduler:8786
    edgecnn evaluate a.onnx b.onnx --data labelled/ --ensemble --views flip
    """  # noqa: D301  \b is click's word for 'do not wrap'
    if ensemble or views:
        from edgecnn.cli.combine import evaluate_together

        if against is not None:
            raise click.UsageError("--against does not go with --ensemble and --views")
        if device != "local" or scheduler is not None:
            raise click.UsageError("--device and --fleet do not go with --ensemble and --views")
        from edgecnn.pipeline.measure import EvaluateOptions

        contract, table = split_labels(contract)
        chosen = EvaluateOptions(data, table, None, engine, threads, class_offset, contract)
        evaluate_together(speaker, files, chosen, views=views or "centre", ensemble=ensemble)
        return
    document = evaluate_files(
        speaker,
        files,
        data=data,
        against=against,
        contract=contract,
        class_offset=class_offset,
        engine=engine,
        threads=threads,
        device=device,
        scheduler=scheduler,
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
    device: str = "local",
    scheduler: Scheduler | None = None,
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
        device=device,
    )
    if scheduler is None:
        return show_evaluations(speaker, evaluate_all(files, options=chosen, narrator=speaker))
    from edgecnn.pipeline.fleet import evaluate_on_fleet

    where = options.of_kind(scheduler, device)
    results = evaluate_on_fleet(files, where, options=chosen, narrator=speaker)
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
