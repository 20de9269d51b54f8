"""The verb that says why: where an INT8 file loses its accuracy, and where a file looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.graph.latency import Extra
    from edgecnn.graph.tally import Spread
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.explain import Explanation, Row

_NAME_WIDTH = 40


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
    contract: ContractOptions,
) -> None:
    """Say where an INT8 file loses its accuracy and what would help, or where a file looks.

    --accuracy tells for each layer: the error that it adds to its output (relative to the output's
    power), the error that has piled up there, its share of all errors, how many times the median
    channel's range the widest channel has (weights, outputs), and how many outputs the range clips.
    --image: Grad-CAM as a PNG, the heat of FILE beside that of the file --against.

    \b
    edgecnn explain mobilenetv2.int8.onnx --accuracy --against mobilenetv2.onnx --data photos/
    edgecnn explain mobilenetv2.int8.onnx --image cat.jpg --against mobilenetv2.onnx
    """  # noqa: D301  \b is click's word for 'do not wrap'
    if accuracy == (image is not None):
        raise click.UsageError("say what to explain: --accuracy, or a photo with --image")
    if image is not None:
        _show_attention(speaker, file, image, against, output, contract, force=force)
        return
    if output is not None:
        raise click.UsageError("-o goes with --image: --accuracy writes no file")
    from edgecnn.pipeline.explain import ExplainOptions, explain_accuracy

    if against is None or data is None:
        raise click.UsageError("--accuracy needs --against FP32.onnx and --data DIR")
    chosen = ExplainOptions(against, data, images=images, top=top, contract=contract)
    explanation = explain_accuracy(file, options=chosen, narrator=speaker)
    speaker.print(_table(explanation))
    for line in _remedies(explanation):
        speaker.line("remedy", line)
    speaker.result(explanation.document())


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
