"""The verb that looks at calibration sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions


@click.command()
@click.argument("source", metavar="DIR|SET.toml")
@click.option("--check", is_flag=True, help="Look at the images; what it does in any case.")
@click.option("--model", type=options.FILE, help="The float .onnx file that is to be quantized.")
@click.option("--against", type=options.FILE, help="Evaluation images: none of them may be here.")
@click.option("--images", type=click.IntRange(1), help="Take a sample of so many  [all]")
@options.seed
@options.contract_options
@options.speaking
def calibrate(
    *,
    speaker: Speaker,
    source: str,
    check: bool,
    model: Path | None,
    against: Path | None,
    images: int | None,
    seed: int,
    contract: ContractOptions,
) -> None:
    """Look at calibration images before a network is quantized with them.

    Counts them and names those that cannot be read; finds near-duplicates, images of the
    evaluation set, bad light. With --model it also says what the network sees in them: input
    values, classes, whether red and blue are exchanged, and whether more images would still
    change the ranges. Exit code 1 where nothing can be learnt from them.

    \b
    edgecnn calibrate photos/
    edgecnn calibrate photos/ --model mobilenetv2.onnx --against labelled/
    edgecnn calibrate calibration/packaged-photos.toml --model mobilenetv2.onnx --json
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.pipeline.checkup_json import document
    from edgecnn.pipeline.doctor import CheckOptions, check_calibration
    from edgecnn.pipeline.findings import findings, verdict

    del check
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
    speaker.next(f"edgecnn quantize {model or 'FILE.onnx'} --calibration {source}")


_VERDICTS = {
    "ok": "ok: good to calibrate with",
    "warnings": "usable, with the warnings above",
}
