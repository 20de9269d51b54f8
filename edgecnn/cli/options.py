"""Options that mean the same everywhere."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from edgecnn.cli.speak import Speaker
from edgecnn.contract import Color, Filter, Layout

_Command = TypeVar("_Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)


def speaking(command: _Command) -> _Command:
    """Add --json, --quiet and --debug; the command gets a `speaker`."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, no text.")
    @click.option("--quiet", "-q", is_flag=True, help="Say nothing but warnings and errors.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(command)
    def wrapped(*, as_json: bool, quiet: bool, debug: bool, **options: Any) -> Any:
        del debug  # read where errors are told
        return command(speaker=Speaker(quiet=quiet, as_json=as_json), **options)

    return wrapped  # type: ignore[return-value]


def contract_options(command: _Command) -> _Command:
    """Add how images are prepared, for files from elsewhere; the command gets `contract`."""
    for option in reversed(_CONTRACT_OPTIONS):
        command = option(command)

    @functools.wraps(command)
    def wrapped(**options: Any) -> Any:
        from edgecnn.pipeline.contracts import ContractOptions

        said = {item.name: options.pop(item.name) for item in dataclasses.fields(ContractOptions)}
        return command(contract=ContractOptions(**said), **options)

    return wrapped  # type: ignore[return-value]


def numbers(value: str) -> tuple[float, ...]:
    """One number or one a channel: 0.5 or 0.485,0.456,0.406."""
    try:
        parsed = tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a number, nor three with commas") from error
    if len(parsed) not in (1, 3):
        raise click.BadParameter(f"{value!r}: one number, or one for each of three channels")
    return parsed


def size(value: str) -> tuple[int, int]:
    """One side or both: 224, or 192x256 for height x width."""
    parts = value.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not a size like 224 or 192x256")
    return int(parts[0]), int(parts[-1])


_CONTRACT_OPTIONS = (
    click.option("--size", type=size, help="Input size: 224, or 192x256 (height x width)."),
    click.option("--resize", type=int, help="Short side before the centre crop  [size / 0.875]"),
    click.option("--crop-fraction", type=float, help="Crop this share first, then resize to size."),
    click.option("--filter", type=click.Choice(get_args(Filter)), help="How to resize."),
    click.option("--antialias/--no-antialias", default=None, help="Widen the filter to shrink."),
    click.option("--color", type=click.Choice(get_args(Color)), help="What the network expects."),
    click.option("--scale", type=float, help="Pixels are multiplied by this first  [1/255]"),
    click.option("--mean", type=numbers, help="Subtracted: 0.485,0.456,0.406, or 127.5."),
    click.option("--std", type=numbers, help="Divided by: 0.229,0.224,0.225, or 127.5."),
    click.option(
        "--layout", type=click.Choice(get_args(Layout)), help="Order of the input's axes."
    ),
    click.option("--pad", type=click.IntRange(0, 255), help="Keep the whole image, on that gray."),
    click.option("--labels", type=FILE, help="Class names, one a line."),
    click.option(
        "--detector",
        "detection",
        type=click.Choice(["nanodet"]),
        callback=lambda _, __, decoder: decoder and {"decoder": decoder},
        help="The file finds boxes, coded like this.",
    ),
)

force = click.option("--force", is_flag=True, help="Overwrite existing files.")
output = click.option("-o", "--output", type=FILE, help="Where to write.")
seed = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is random."
)
class_offset = click.option(
    "--class-offset",
    type=click.IntRange(0),
    help="The output that means class 0: 1 where the first one is 'background'  [0]",
)
threads = click.option("--threads", type=click.IntRange(1), help="Threads of the engine  [all]")
engine = click.option(
    "--engine",
    default="onnxruntime",
    show_default=True,
    help="What runs the file; auto: the fastest that is right.",
)
