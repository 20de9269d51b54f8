"""The verb that makes files small to download: shrink."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions


@click.command()
@click.argument("file", type=options.FILE)
@click.option(
    "--calibration",
    "images",
    default="natural:16",
    show_default=True,
    help="Images to compare with FILE on: a folder of photos, photos[:N] or natural[:N].",
)
@options.output
@options.seed
@options.contract_options
@options.force
@options.speaking
def shrink(
    *,
    speaker: Speaker,
    file: Path,
    images: str,
    output: Path | None,
    seed: int,
    contract: ContractOptions,
    force: bool,
) -> None:
    """Store the weights of a float file as INT8: a quarter of the download.

    They are made floats again when the file is loaded, so it is as fast, and nearly as accurate, as
    the float file. It needs no calibration. To be faster, quantize.

    \b
    edgecnn shrink mobilenetv2.onnx
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.pipeline.shrink import ShrinkOptions
    from edgecnn.pipeline.shrink import shrink as shrink_file

    chosen = ShrinkOptions(images=images, seed=seed, contract=contract)
    result = shrink_file(file, options=chosen, output=output, force=force, narrator=speaker)
    speaker.next(f"edgecnn evaluate {file} {result.path} --data LABELLED")
    speaker.result(
        {
            "format": 1,
            "input": str(result.source),
            "output": str(result.path),
            "layers": result.layers,
            "check": dataclasses.asdict(result.check),
            "size_bytes": result.path.stat().st_size,
            "wall_s": result.wall_s,
        }
    )
