"""The verb that says why: where a run takes its time, where INT8 loses accuracy, where it looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.graph.latency import Extra
    from edgecnn.graph.tally import Spread
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.explain import Explanation, Row
    from edgecnn.pipeline.scheduler import Scheduler

_NAME_WIDTH = 40
# What each mode has an ear for, besides how images are prepared.
_OPTIONS = {
    "time": ("engine", "threads", "top"),
    "accuracy": ("against", "data", "images", "top", "address", "device"),
    "image": ("against", "output", "force"),
}


@click.command()
@click.argument("file", type=options.FILE)
@click.option("--accuracy", is_flag=True, help="Explain the loss of accuracy, layer by layer.")
@click.option("--image", type=options.FILE, help="Show where in this photo the answer is seen.")
@click.option("--against", type=options.FILE, help="The float file it was quantized from.")
@click.option("--data", type=options.FILE, help="Images; labels are not needed.")
@click.option(
    "--images", type=click.IntRange(1), default=32, show_default=True, help="Use so many of them."
)
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Show so many.")
@options.output
@options.force
@click.option(
    "--device", default="local", help="Of --fleet: a kind of board, a resource  [any worker]"
)
@options.fleet
@options.engine
@options.threads
@options.contract_options
@options.speaking
def explain(
    *,
    speaker: Speaker,
    file: Path,
    accuracy: bool,
    image: Path | None,
    against: Path | None,
    data: Path | None,
    images: int,
    top: int,
    output: Path | None,
    force: bool,
    device: str,
    scheduler: Scheduler | None,
    engine: str,
    threads: int | None,
    contract: ContractOptions,
) -> None:
    """Say where a run takes its time, or INT8 loses accuracy.

    Layer by layer, and what would help: each layer as the engine runs it, by the engine's own
    profiler, and the node of the file that it came from. What costs time without need is marked and
    summed up: layers of an INT8 file in float, changes of type and layout, activations that are no
    part of the layer before them.

    With --accuracy: where an INT8 file loses its accuracy. For each layer the error that it adds to
    its output (relative to the output's power), the error that has piled up there, its share of all
    errors, how many times the median channel's range the widest channel has (weights, outputs), and
    how many outputs the range clips. --fleet shares the images out among the workers of a cluster.

    With --image: Grad-CAM as a PNG, the heat of FILE beside that of the file --against.

    \b
    edgecnn explain mobilenetv2.int8.onnx --threads 1
    edgecnn explain mobilenetv2.int8.onnx --accuracy --against mobilenetv2.onnx --data photos/
    edgecnn explain mobilenetv2.int8.onnx --image cat.jpg --against mobilenetv2.onnx
    """  # noqa: D301  \b is click's word for 'do not wrap'
    if accuracy and image is not None:
        raise click.UsageError("--accuracy and --image: one at a time")
    mode = "image" if image else "accuracy" if accuracy else "time"
    _refuse_given(mode)
    if image is not None:
        _show_attention(speaker, file, image, against, output, contract, force=force)
        return
    if mode == "time":
        from edgecnn.cli.explain_time import tell_time
        from edgecnn.pipeline.explain_time import TimeOptions

        asked = TimeOptions(engine=engine, threads=threads, contract=contract)
        tell_time(speaker, file, options=asked, top=top)
        return
    if against is None or data is None:
        raise click.UsageError("--accuracy needs --against FP32.onnx and --data DIR")
    from edgecnn.pipeline.explain import ExplainOptions, explain_accuracy

    where = _where(scheduler, device)
    chosen = ExplainOptions(
        against, data, images=images, top=top, contract=contract, scheduler=where
    )
    explanation = explain_accuracy(file, options=chosen, narrator=speaker)
    speaker.print(_table(explanation))
    for line in _remedies(explanation):
        speaker.line("remedy", line)
    if any(row.price for row in explanation.rows):
        speaker.line("prices", "of one thread of ONNX Runtime, measured here")
    speaker.result(explanation.document())


def _where(scheduler: Scheduler | None, device: str) -> Scheduler | None:
    if scheduler is not None:
        return options.of_kind(scheduler, device)
    if device != "local":
        raise click.UsageError("--device goes with --fleet: layers are compared on this machine")
    return None


def _show_attention(
    speaker: Speaker,
    file: Path,
    image: Path,
    against: Path | None,
    output: Path | None,
    contract: ContractOptions,
    *,
    force: bool,
) -> None:
    from edgecnn.pipeline.attention import look_at

    files = (file,) if against is None else (against, file)
    target = output or Path(f"{image.stem}.attention.png")
    sight = look_at(files, image, output=target, contract=contract, force=force)
    for look in sight.looks:
        speaker.line("answer", f"{look.file}: {look.label} {look.probability:.2f}")
    for look, value in zip(sight.looks[1:], sight.likeness, strict=True):
        said = f"{look.file} and {files[0]}: correlation {value:.2f} where they see {sight.asked}"
        speaker.line("attention", said)
    speaker.line("wrote", f"{target}: the photo, then {' and '.join(map(str, files))}")
    speaker.result(sight.document() | {"output": str(target)})


def _refuse_given(mode: str) -> None:
    """An option that would say nothing is a mistake that somebody should hear of."""
    context = click.get_current_context()
    for name in dict.fromkeys(name for names in _OPTIONS.values() for name in names):
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _OPTIONS[mode]:
            homes = [f"--{other}" for other, names in _OPTIONS.items() if name in names]
            with_ = " or ".join(home for home in homes if home != "--time")
            said = {"output": "-o", "address": "--fleet"}.get(name, f"--{name}")
            why = f"goes with {with_}" if with_ else f"does not go with --{mode}"
            raise click.UsageError(f"{said} {why}")


def _table(explanation: Explanation) -> str:
    head = f"{'layer':<{_NAME_WIDTH}} error here  piled up  share  weights  outputs  clipped"
    lines = [
        f"{explanation.file} against {explanation.against}, {explanation.images} images; "
        f"error of the answers {-explanation.accumulated_db:.1f} dB",
        "",
        head,
    ]
    for row in explanation.rows:
        lines += [_numbers(row), f"  {row.cause.text}"]
    hidden = explanation.layers - len(explanation.rows)
    if hidden > 0:
        lines.append(f"{hidden} more layers add less: --top {explanation.layers}")
    return "\n".join(lines)


def _numbers(row: Row) -> str:
    error = row.error
    name = f"{_short(error.name):<{_NAME_WIDTH}}"
    decibels = f"{-error.here_db:>7.1f} dB {-error.accumulated_db:>6.1f} dB"
    clipped = f"{100 * error.clipped_share:>6.2f} %"
    spreads = f"{_times(error.weights)} {_times(error.outputs)}"
    return f"{name} {decibels} {100 * row.share:>4.0f} % {spreads} {clipped}"


def _short(name: str) -> str:
    """The end of a long name is what tells layers apart."""
    return name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}"


def _times(spread: Spread | None) -> str:
    return f"{'—':>8}" if spread is None else f"{spread.times:>7.1f}x"


def _remedies(explanation: Explanation) -> list[str]:
    """Of the worst rows, each remedy once; the prices of layers in float one by one."""
    words = [row.remedy for row in explanation.rows if row.remedy not in (None, "--keep-float")]
    found = [word for word in dict.fromkeys(words) if word is not None]
    for row in explanation.rows:
        if row.price is None:
            continue
        kept = " ".join(f"--keep-float {name}" for name in row.kept_float)
        found.append(f"{kept}: {100 * row.share:.0f} % of the error for {_price(row.price)}")
    return found


def _price(price: Extra) -> str:
    """What a layer in float costs; less than nothing is noise."""
    if price.extra_ms <= 0:
        return f"no measurable time (INT8 takes {price.base_ms:.2f} ms)"
    return f"{price.extra_ms:+.2f} ms of {price.base_ms:.2f}"
