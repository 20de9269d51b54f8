"""The verb that makes FP16 files: half."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.half import HalfResult


@click.command()
@click.argument("file", type=options.FILE)
@click.option(
    "--calibration",
    default="natural:32",
    show_default=True,
    help="Where to look for overflow: a folder of photos, photos[:N] or natural[:N].",
)
@click.option("--images", type=click.IntRange(16), help="Use so many of them  [all]")
@options.output
@click.option("--keep-float", multiple=True, metavar="LAYER", help="Leave this layer in FP32.")
@options.seed
@options.contract_options
@options.force
@options.speaking
def half(
    *,
    speaker: Speaker,
    file: Path,
    calibration: str,
    images: int | None,
    output: Path | None,
    keep_float: tuple[str, ...],
    seed: int,
    contract: ContractOptions,
    force: bool,
) -> None:
    """Turn a file into FP16, for GPUs.

    Layers that would overflow stay in FP32, inputs and outputs too, and the file is half as large.
    An INT8 file keeps its integers and gets FP16 around them. On a CPU FP16 is seldom faster than
    FP32.

    \b
    edgecnn half mobilenetv2.onnx --calibration photos/
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.pipeline.calibration import find_calibration
    from edgecnn.pipeline.half import HalfOptions
    from edgecnn.pipeline.half import half as halve_file

    found = find_calibration(calibration, limit=images, seed=seed)
    chosen = HalfOptions(keep_float=keep_float, seed=seed, contract=contract)
    result = halve_file(file, found, options=chosen, output=output, force=force, narrator=speaker)
    speaker.next(f"edgecnn evaluate {file} {result.path} --data LABELLED")
    speaker.result(_half_json(result))


def _half_json(result: HalfResult) -> dict[str, Any]:
    halved = result.halved
    return {
        "format": 1,
        "input": str(result.source),
        "output": str(result.path),
        "images": result.images,
        "layers": halved.layers,
        "float_layers": [
            {"layer": one.layer, "reason": one.reason} for one in halved.kept_for_range
        ],
        "check": dataclasses.asdict(halved.parity),
        "size_bytes": result.path.stat().st_size,
        "wall_s": result.wall_s,
    }
