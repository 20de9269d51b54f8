"""The verb that makes an ONNX file of a network: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.export import ExportResult


def batch_size(value: str) -> int | str:
    """A number of images, or `dynamic`."""
    if value == "dynamic":
        return value
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a number above zero nor 'dynamic'")
    return int(value)


@click.command()
@click.argument("model")
@options.output
@click.option("--weights", help="official[:v1|:v2], a checkpoint FILE, or random.")
@click.option(
    "--batch", type=batch_size, default="1", show_default=True, help="Images a run, or dynamic."
)
@click.option("--opset", type=click.IntRange(17, 21), default=17, show_default=True)
@options.seed
@options.contract_options
@options.force
@options.speaking
def export(
    *,
    speaker: Speaker,
    model: str,
    output: Path | None,
    weights: str | None,
    batch: Any,
    opset: int,
    seed: int,
    contract: ContractOptions,
    force: bool,
) -> None:
    """Write a network as ONNX, checked against PyTorch.

    The file is simplified and carries its contract: how images are prepared, what outputs mean.

    MODEL is a name of the zoo (edgecnn models), torchvision:NAME, timm:NAME, a function
    package.module:function that returns the network, or an .onnx file; the last two get their
    contract from --size, --mean, --std and so on.

    \b
    edgecnn export mobilenetv2
    edgecnn export resnet50 --weights official:v1 -o resnet50.onnx
    edgecnn export mypkg.nets:build --size 96 --mean 0.5 --std 0.5
    edgecnn export theirs.onnx --mean 127.5 --std 127.5 -o ours.onnx
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.pipeline.export import ExportOptions
    from edgecnn.pipeline.export import export as export_model

    chosen = ExportOptions(weights=weights, batch=batch, opset=opset, seed=seed, contract=contract)
    result = export_model(model, output=output, options=chosen, force=force, narrator=speaker)
    speaker.next(f"edgecnn quantize {result.path} --calibration PHOTOS")
    speaker.result(_export_json(model, result))


def _export_json(model: str, result: ExportResult) -> dict[str, Any]:
    exported, weights = result.exported, result.contract.provenance["weights"]
    return {
        "format": 1,
        "model": model,
        "output": str(result.path),
        "weights": weights,
        "opset": exported.opset,
        "exporter": exported.exporter,
        "nodes": exported.nodes_after,
        "parity": {
            "images": exported.parity.n,
            "max_abs_diff": exported.parity.max_abs_diff,
            "top1_equal": exported.parity.top1_equal,
        },
        "notes": list(exported.notes),
        "size_bytes": result.path.stat().st_size,
        "wall_s": result.wall_s,
    }
