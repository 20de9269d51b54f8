"""The verb that looks at calibration sets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions


@click.command()
@click.argument("source", metavar="DIR|SET.toml", required=False)
@click.option("--camera", metavar="SOURCE", help="Make a set: different frames of a camera.")
@click.option(
    "--minutes",
    type=click.FloatRange(0.01),
    default=5,
    show_default=True,
    help="How long the camera is watched.",
)
@click.option("--check", is_flag=True, help="Look at the images; what it does in any case.")
@click.option("--model", type=options.FILE, help="The float .onnx file that is to be quantized.")
@click.option("--against", type=options.FILE, help="Evaluation images: none of them may be here.")
@click.option(
    "--images", type=click.IntRange(1), help="Take a sample of so many  [all; of a camera 128]"
)
@options.output
@options.seed
@options.contract_options
@options.speaking
def calibrate(
    *,
    speaker: Speaker,
    source: str | None,
    camera: str | None,
    minutes: float,
    output: Path | None,
    check: bool,
    model: Path | None,
    against: Path | None,
    images: int | None,
    seed: int,
    contract: ContractOptions,
) -> None:
    """Look at calibration images before they are used, or take them.

    Counts them and names those that cannot be read; finds near-duplicates, images of the
    evaluation set, bad light. With --model it also says what the network sees in them: input
    values, classes, whether red and blue are exchanged, and whether more images would still
    change the ranges. Exit code 1 where nothing can be learnt from them.

    --camera makes such a folder first: it watches a camera, keeps frames that differ in layout or
    light, and then looks at what it has kept.

    \b
    edgecnn calibrate --camera v4l2:///dev/video0 --minutes 5 -o photos
    edgecnn calibrate photos/
    edgecnn calibrate photos/ --model mobilenetv2.onnx --against labelled/
    edgecnn calibrate calibration/packaged-photos.toml --model mobilenetv2.onnx --json
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.pipeline.checkup_json import document
    from edgecnn.pipeline.doctor import CheckOptions, check_calibration
    from edgecnn.pipeline.findings import findings, verdict

    del check
    _check_source(source, camera, output)
    if camera is not None:
        source, images = _captured(speaker, camera, minutes, images or _FRAMES, output), None
    assert source is not None
    chosen = CheckOptions(model=model, against=against, limit=images, seed=seed, contract=contract)
    checkup = check_calibration(source, options=chosen, narrator=speaker)
    found = findings(checkup)
    for finding in found:
        speaker.line(finding.label, finding.text)
    for finding in found:
        if finding.warning:
            speaker.warn(finding.warning)
    speaker.result(document(checkup))
    if checkup.problem:
        raise checkup.problem
    speaker.line("sha256", checkup.sha256)
    speaker.line("verdict", _VERDICTS[verdict(checkup)])
    again = options.said_again("images") if camera is None else options.said_again()
    calibration = shlex.quote(source)
    speaker.next(f"edgecnn quantize {model or 'FILE.onnx'} --calibration {calibration}{again}")


def _check_source(source: str | None, camera: str | None, output: Path | None) -> None:
    if source is not None and camera is not None:
        raise click.UsageError("either DIR or --camera")
    if source is None and camera is None:
        raise click.UsageError("name a folder of images, or --camera SOURCE")
    minutes = click.get_current_context().get_parameter_source("minutes")
    for option, given in (("-o", output is not None), ("--minutes", minutes is _TYPED)):
        if given and camera is None:
            raise click.UsageError(f"{option} goes with --camera")


def _captured(
    speaker: Speaker, camera: str, minutes: float, limit: int, output: Path | None
) -> str:
    """Watch the camera; the folder of what was kept."""
    from edgecnn.pipeline.capture import capture

    folder = output or Path("camera-frames")
    found = capture(camera, folder, seconds=60 * minutes, limit=limit, narrator=speaker)
    speaker.line("captured", f"{found.kept} of {found.looked} frames differ enough: {folder}/")
    return str(folder)


_FRAMES = 128
_TYPED = ParameterSource.COMMANDLINE
_VERDICTS = {
    "ok": "ok: good to calibrate with",
    "warnings": "usable, with the warnings above",
}
