"""Options that mean the same everywhere."""

from __future__ import annotations

import dataclasses
import functools
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from click.core import ParameterSource

from edgecnn.cli.speak import Speaker
from edgecnn.contract import Color, Filter, Layout

if TYPE_CHECKING:
    from edgecnn.pipeline.scheduler import Scheduler

_Command = TypeVar("_Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)
DATA_HELP = "Labelled images: a folder per class, or a .tsv/.csv of file and class index."


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


def said_again(*more: str) -> str:
    """How images are prepared, and `more` options by name, as this command line says it.

    It begins with a space, to stand behind another command; empty where nothing was said.
    """
    from edgecnn.pipeline.contracts import ContractOptions

    names = {*more, *(item.name for item in dataclasses.fields(ContractOptions))}
    context = click.get_current_context()
    return "".join(
        f" {_typed(option, context.params[option.name])}"
        for option in context.command.params
        if option.name in names
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    )


def _typed(option: click.Parameter, value: Any) -> str:
    """An option with its value, as it is typed."""
    if isinstance(value, bool):
        return option.opts[0] if value else option.secondary_opts[0]
    if isinstance(value, dict):  # only the decoder can be said
        value = value["decoder"]
    if isinstance(value, tuple):
        value = ("x" if option.name == "size" else ",").join(f"{part:g}" for part in value)
    return f"{option.opts[0]} {shlex.quote(str(value))}"


def fleet(command: _Command) -> _Command:
    """Add --fleet and --allow-plain-tcp; the command gets `scheduler`, None without a fleet."""

    @click.option(
        "--fleet",
        "address",
        metavar="ADDRESS",
        help="On a Dask cluster that you run: tls://scheduler:8786.",
    )
    @click.option(
        "--allow-plain-tcp", is_flag=True, help="Of --fleet: tcp:// to another machine, too."
    )
    @functools.wraps(command)
    def wrapped(*, address: str | None, allow_plain_tcp: bool, **options: Any) -> Any:
        from edgecnn.pipeline.scheduler import Scheduler

        if allow_plain_tcp and address is None:
            raise click.UsageError("--allow-plain-tcp goes with --fleet tcp://HOST:PORT")
        scheduler = None if address is None else Scheduler(address, plain=allow_plain_tcp)
        return command(scheduler=scheduler, **options)

    return wrapped  # type: ignore[return-value]


def of_kind(scheduler: Scheduler, device: str) -> Scheduler:
    """The scheduler, for workers of the kind that --device names."""
    return dataclasses.replace(scheduler, kind=None if device == "local" else device)


def live(command: _Command) -> _Command:
    """Add what goes with a camera; the command gets `live`, what was said of it."""
    for option in reversed(_LIVE_OPTIONS):
        command = option(command)

    @functools.wraps(command)
    def wrapped(**options: Any) -> Any:
        said = {name: options.pop(name) for name in _LIVE_NAMES}
        return command(
            live={name: value for name, value in said.items() if value is not None}, **options
        )

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


def points(value: str) -> float:
    """Percentage points, as 0..1."""
    return _number(value.removesuffix("%").strip(), value, "points like 0.5") / 100


def share(value: str) -> float:
    """A share of images, as 0..1: 97%, 97 or 0.97."""
    number = _number(value.removesuffix("%").strip(), value, "a share like 97%")
    return number / 100 if value.endswith("%") or number > 1 else number


def _number(text: str, value: str, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not {wanted}") from error
    if not 0 <= number <= 100:
        raise click.BadParameter(f"{value!r} is not {wanted}")
    return number


def milliseconds(value: str) -> float:
    """A time, in ms: 20ms, 0.02s or 20."""
    text, factor = (value[:-1], 1e3) if value.endswith("s") and value[-2:] != "ms" else (value, 1.0)
    try:
        number = float(text.removesuffix("ms").strip()) * factor
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a time like 20ms") from error
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r} is not a time above zero")
    return number


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
    click.option(
        "--embedding", is_flag=True, default=None, help="The file gives a vector, no classes."
    ),
)

_LIVE_NAMES = (
    "window",
    "record",
    "seconds",
    "deadline_ms",
    "smoothing",
    "threshold",
    "metrics_port",
)
_LIVE_OPTIONS = (
    click.option(
        "--window/--no-window", default=None,
        help="Of a camera: show it in a window; q closes it  [on a terminal with a display]",
    ),
    click.option("--record", type=FILE, metavar="OUT.mp4", help="Of a camera: keep it as a clip."),
    click.option("--seconds", type=click.FloatRange(0), help="Of a camera: end after that time."),
    click.option(
        "--deadline", "deadline_ms", type=click.FloatRange(0.001), metavar="MS",
        help="Of a camera: count answers that are older.",
    ),
    click.option(
        "--smoothing", type=click.FloatRange(0, 0.99),
        help="Of a camera: the share of earlier answers in each.",
    ),
    click.option(
        "--threshold", type=click.FloatRange(0, 1), help="Of a camera: name nothing less sure."
    ),
    click.option(
        "--metrics-port", type=click.IntRange(0, 65535), metavar="PORT",
        help="Of a camera: statistics for Prometheus on 127.0.0.1; 0 takes a free port.",
    ),
)  # fmt: skip

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


def _known_engine(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse a name that no engine has, before any work begins."""
    if value != _ENGINE:
        from edgecnn.runtime.compiled import check_engine

        check_engine(value)
    return value


_ENGINE = "onnxruntime"
engine = click.option(
    "--engine",
    default=_ENGINE,
    callback=_known_engine,
    show_default=True,
    help="What runs the file; auto: the fastest that is right.",
)
allow_mixed = click.option(
    "--allow-mixed",
    is_flag=True,
    help="Compare what other devices, states or engines measured, and say how they differ.",
)
use_marked = click.option(
    "--use-marked",
    is_flag=True,
    help="Give verdicts on runs that drifted or were throttled or emulated, too.",
)
trace = click.option(
    "--trace", type=FILE, metavar="FILE.json", help="The layers over time, for Perfetto."
)
plot = click.option("--plot", type=FILE, help="The plot as a picture: FILE.png or FILE.svg.")
