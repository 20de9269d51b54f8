"""The verb that makes INT8 files: quantize."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.errors import DataError

if TYPE_CHECKING:
    from edgecnn.pipeline.answering import Where
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.quantize import QuantizeResult
    from edgecnn.pipeline.scheduler import Scheduler
    from edgecnn.profiling.budget import Limit


@click.command()
@click.argument("file", type=options.FILE)
@click.option(
    "--calibration",
    required=True,
    help="A folder of photos, a calibration/NAME.toml, photos[:N], natural[:N], or random.",
)
@click.option("--images", type=click.IntRange(16), help="Use so many of them  [all]")
@options.output
@click.option(
    "--target",
    metavar="NAME",
    help="Whom the INT8 graph is for: onnxruntime-x86, onnxruntime-x86-avx2 (7-bit weights), "
    "onnxruntime-arm, openvino or tensorrt  [this CPU's ONNX Runtime]",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "minmax", "percentile", "mse", "entropy"]),
    default="auto",
    show_default=True,
    help="How ranges are chosen.",
)
@click.option(
    "--effort",
    type=click.Choice(["fast", "default", "max"]),
    default="default",
    show_default=True,
    help="fast: ranges and biases; default: channels equalized and weights rounded together too; "
    "max: all of it for every method's ranges, the best wins (several times as long).",
)
@click.option(
    "--ranges", type=options.FILE, help="Reuse the ranges of an earlier run, for whatever target."
)
@click.option("--keep-float", multiple=True, metavar="LAYER", help="Leave this layer in float.")
@click.option(
    "--per-tensor",
    is_flag=True,
    help="One scale for each weight, for engines that know no other; refused where it ruins.",
)
@click.option("--data", type=options.FILE, help="Labelled images: say what INT8 costs on them.")
@options.class_offset
@click.option("--max-drop", type=options.points, help="Points of top-1 it may cost on --data: 0.5.")
@click.option(
    "--min-agreement", type=options.share, help="Least share of images with FP32's answer: 97%."
)
@click.option("--accept-loss", is_flag=True, help="Write the file though it misses the budget.")
@click.option(
    "--device", default="local", show_default=True, metavar="DEVICE",
    help="Where --data is judged: local, ssh://user@host or a name; of --fleet a kind of board.",
)  # fmt: skip
@options.fleet
@options.seed
@options.contract_options
@options.force
@options.speaking
def quantize(
    *,
    speaker: Speaker,
    file: Path,
    calibration: str,
    images: int | None,
    output: Path | None,
    target: str | None,
    method: str,
    effort: str,
    ranges: Path | None,
    keep_float: tuple[str, ...],
    per_tensor: bool,
    data: Path | None,
    class_offset: int | None,
    max_drop: float | None,
    min_agreement: float | None,
    accept_loss: bool,
    device: str,
    scheduler: Scheduler | None,
    seed: int,
    contract: ContractOptions,
    force: bool,
) -> None:
    """Turn a float file into INT8, calibrated on images.

    They should be like those that the camera will see. A fifth of them is kept aside; the written
    file is checked on these against FP32. Where a budget is missed, layers go back to float, those
    first that give most accuracy for their time. --device has a device judge what --data shows, by
    the engine of --target there; --fleet has a cluster do so, and rank layers.

    \b
    edgecnn quantize mobilenetv2.onnx --calibration photos/
    edgecnn quantize mobilenetv2.onnx --calibration photos/ --min-agreement 97%
    edgecnn quantize mobilenetv2.onnx --calibration photos/ --data labelled/ --max-drop 0.5
    edgecnn quantize mobilenetv2.onnx --calibration photos/ --data labelled/ --device jetson
    edgecnn quantize theirs.onnx --calibration photos/ --mean 127.5 --std 127.5
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.cli.evaluate import split_labels
    from edgecnn.onnxfile import has_contract
    from edgecnn.pipeline.calibration import find_calibration
    from edgecnn.pipeline.contracts import contract_of
    from edgecnn.pipeline.jury import Budget
    from edgecnn.pipeline.measure import open_data
    from edgecnn.pipeline.quantize import QuantizeOptions
    from edgecnn.pipeline.quantize import quantize as quantize_file
    from edgecnn.pipeline.task import judged_where

    if data is not None and not data.exists():
        raise DataError(f"{data}: no such folder or table", hint="check the path to the data")
    contract, table = split_labels(contract)
    limit = _limit(max_drop, min_agreement, accept_loss=accept_loss)
    scheduler = _checked(device, scheduler, judges=data is not None, ranks=limit is not None)
    budget = Budget(limit, data, table, accept_loss, class_offset) if limit else None
    if data is not None:  # what does not fit the labels is said before the work, not after it
        open_data(data, contract_of(file, contract), table=table, class_offset=class_offset)
    chosen = QuantizeOptions(
        target=target,
        method=method,
        effort=effort,
        ranges=ranges,
        keep_float=keep_float,
        budget=budget,
        per_tensor=per_tensor,
        seed=seed,
        against=data,
        contract=contract,
        device=device,
        scheduler=scheduler,
    )
    found = find_calibration(calibration, limit=images, seed=seed)
    result = quantize_file(
        file, found, options=chosen, output=output, force=force, narrator=speaker
    )
    labelled = dataclasses.replace(contract, labels=table or contract.labels)
    accuracy = None
    if data:
        accuracy = _accuracy(speaker, result, data, class_offset, labelled, judged_where(chosen))
    # A plain source would need to be told again how its images are prepared.
    both = f"{file} " if has_contract(file) else ""
    there = f" --device {device}" if device != "local" and scheduler is None else ""
    speaker.next(f"edgecnn profile {both}{result.path}{there}")
    speaker.result(quantize_document(result) | {"accuracy": accuracy})


def _checked(
    device: str, scheduler: Scheduler | None, *, judges: bool, ranks: bool
) -> Scheduler | None:
    """The scheduler, for workers of the kind that --device names; what makes no sense is told."""
    from edgecnn.devices.find import find_device

    if scheduler is not None:
        if not (judges or ranks):
            raise click.UsageError("--fleet goes with --max-drop, --min-agreement or --data")
        return options.of_kind(scheduler, device)
    if device != "local" and not judges:
        raise click.UsageError("--device goes with --data: labelled images are judged there")
    find_device(device)  # a name that nobody has is told before the work
    return None


def _limit(
    max_drop: float | None, min_agreement: float | None, *, accept_loss: bool
) -> Limit | None:
    from edgecnn.profiling.budget import Limit

    if max_drop is not None and min_agreement is not None:
        raise click.UsageError("--max-drop and --min-agreement: one budget at a time")
    if max_drop is not None:
        return Limit("drop", max_drop)
    if min_agreement is not None:
        return Limit("agreement", min_agreement)
    if accept_loss:
        raise click.UsageError("--accept-loss goes with --max-drop or --min-agreement")
    return None


def _accuracy(
    speaker: Speaker,
    result: QuantizeResult,
    data: Path,
    class_offset: int | None,
    contract: ContractOptions,
    where: Where,
) -> dict[str, Any]:
    """What INT8 costs on labelled images; a budget has evaluated it already."""
    from edgecnn.cli.evaluate import evaluate_files, show_evaluations

    budget = result.verification.budget
    if budget is not None and budget.evaluation is not None:
        document = show_evaluations(speaker, (budget.evaluation,))
    else:
        document = evaluate_files(
            speaker,
            (result.path,),
            data=data,
            against=result.source,
            contract=contract,
            class_offset=class_offset,
            engine=where.engine,
            device=where.device,
            scheduler=where.scheduler,
        )
    evaluated: dict[str, Any] = document["results"][0]
    return evaluated


def quantize_document(result: QuantizeResult) -> dict[str, Any]:
    """What `--json` says of a quantization."""
    from edgecnn.pipeline.checkup_json import document
    from edgecnn.pipeline.quantize import ranges_path

    quantized, verification = result.quantized, result.verification
    budget = verification.budget
    return {
        "format": 1,
        "input": str(result.source),
        "output": str(result.path),
        "ranges": str(ranges_path(result.path)),
        "target": result.target,
        "method": quantized.ranges.method,
        "calibration_images": result.calibration_images,
        "calibration": document(result.checkup),
        "float_layers": list(quantized.float_layers),
        "steps": [
            {"name": step.name, "gained_db": step.gained_db, "kept": step.kept}
            for step in quantized.steps
        ],
        "check": verification.document(),
        "boxes": None if verification.boxes is None else dataclasses.asdict(verification.boxes),
        "budget": None if budget is None else budget.document(),
        "size_bytes": result.path.stat().st_size,
        "wall_s": result.wall_s,
        "peak_rss_bytes": result.peak_rss_bytes,
    }
