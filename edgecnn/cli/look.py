"""The verb that looks inside: a network of the zoo layer by layer, or a file's contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import layers, options, steps
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.contract import Contract


@click.command()
@click.argument("model", metavar="MODEL|FILE")
@click.option("--size", type=options.size, help="For images of this size: 224, or 192x256.")
@click.option("--device", help="Say what bounds each layer on this board: raspberry-pi-5.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="In which the board would run the layers  [fp32]",
)
@options.speaking
def inspect(
    *,
    speaker: Speaker,
    model: str,
    size: tuple[int, int] | None,
    device: str | None,
    precision: Any,
) -> None:
    """Show a network layer by layer, or what an ONNX file promises.

    MODEL is whatever export takes: a name of the zoo, a checkpoint that train wrote,
    PACKAGE.MODULE:FUNCTION, torchvision:NAME or timm:NAME.

    \b
    edgecnn inspect mobilenetv2
    edgecnn inspect mobilenetv2 --device raspberry-pi-5 --precision int8
    edgecnn inspect mypkg.nets:build --size 96
    edgecnn inspect mobilenetv2.int8.onnx
    """  # noqa: D301  \b is click's word for 'do not wrap'
    if _is_onnx(model):
        asked = {"--size": size, "--device": device, "--precision": precision}
        option = next((name for name, value in asked.items() if value is not None), None)
        if option is not None:
            raise click.UsageError(f"{option} goes with a network, not with an ONNX file")
        _show_file(speaker, Path(model))
        return
    if precision is not None and device is None:
        raise click.UsageError("--precision is a board's: name one, --device raspberry-pi-5")
    from edgecnn.devices.boards import find_board
    from edgecnn.pipeline.outline import outline

    board = find_board(device) if device else None
    layers.show(speaker, outline(model, size=size), board=board, precision=precision or "fp32")


def _is_onnx(model: str) -> bool:
    """Whether it is a file, and no checkpoint; whoever reads it says what else it may be."""
    if model.lower().endswith(".onnx"):
        return True
    from edgecnn.pipeline.sources import is_checkpoint

    return Path(model).is_file() and not is_checkpoint(model)


def _show_file(speaker: Speaker, file: Path) -> None:
    import json

    from edgecnn.contract_json import to_json
    from edgecnn.files import human_size
    from edgecnn.onnxfile import read_contract, read_header

    header, contract = read_header(file), read_contract(file)
    size = human_size(file.stat().st_size)
    speaker.line("file", f"{file}  {size}, opset {header.opset}, IR {header.ir_version}")
    for label, text in _facts(contract):
        speaker.line(label, text)
    speaker.result({"format": 1, "file": str(file), "contract": json.loads(to_json(contract))})


def _facts(contract: Contract) -> list[tuple[str, str]]:
    provenance = contract.provenance
    recipe = contract.preprocess
    cut = f"crop {recipe.crop_fraction:g} of the short side, then " if recipe.crop_fraction else ""
    to = f"short side to {recipe.resize}, centre " if recipe.resize else ""
    facts = [
        ("model", f"{contract.name}, {provenance.get('precision', 'fp32')}"),
        ("weights", str(provenance.get("weights", {}).get("source", "unknown"))),
        *((f"input {spec.name}", _tensor(spec)) for spec in contract.inputs),
        *((f"output {spec.name}", _tensor(spec)) for spec in contract.outputs),
        ("images", f"{cut}{to}{recipe.size[0]}x{recipe.size[1]}, {_filter(recipe)}"),
        ("values", f"{recipe.color}, (pixel x {recipe.scale:.6g} - mean) / std, {recipe.layout}"),
        ("mean, std", f"{_numbers(recipe.mean)}; {_numbers(recipe.std)}"),
        ("labels", f"{len(contract.labels)}" if contract.labels else "none"),
        ("golden", "class " + str(contract.golden.top[0][0]) if contract.golden else "none"),
    ]
    return [*facts, *steps.told(provenance)]


def _tensor(spec: Any) -> str:
    return f"{spec.dtype} {'x'.join(str(size) for size in spec.shape)}"


def _filter(recipe: Any) -> str:
    return f"{recipe.filter}{' antialiased' if recipe.antialias else ''}"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
