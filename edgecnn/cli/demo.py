"""The demo: the main job from end to end, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.profiling.records import Report

_OPENING = """\
edgecnn takes a CNN from PyTorch to an INT8 file that is measured as it ships. Twice, offline:

1. LeNet-5, MobileNetV2, ResNet-18 and VGG-11 in narrow versions on handwritten digits:
   export, quantize, evaluate on digits that no network has seen, profile. {digits}
2. EfficientNet-Lite0 with its real ImageNet weights, calibrated on crops of photos. About 30 s.

Everything goes to {folder}/.
"""
_WITH_CHECKPOINTS = "About a minute."
_WITH_TRAINING = "They are trained first, which takes about three minutes more."


@click.command()
@options.output
@options.speaking
def demo(*, speaker: Speaker, output: Path | None) -> None:
    """Run the main job offline, from networks to a report.

    Takes about two minutes on two CPU cores. Needs the demo extra: pip install 'edgecnn[demo]'
    """
    folder = output or Path("demo-output")
    checkpoints = _checkpoints()
    told = _WITH_CHECKPOINTS if checkpoints else _WITH_TRAINING
    speaker.print(_OPENING.format(digits=told, folder=folder))
    from edgecnn.pipeline import demo as work

    job = work.Demo(folder=folder, checkpoints=checkpoints)
    results = []
    for title, step in (("digits", work.digits), ("efficientnet_lite0", work.lite0)):
        speaker.print(f"\n{title}\n{'-' * len(title)}")
        results.append(_reported(speaker, folder / f"{title}.html", step(job, narrator=speaker)))
    speaker.print("")
    speaker.next("edgecnn export mobilenetv2, or the same with a photo: edgecnn classify --help")
    speaker.result({"format": 1, "profiles": results})


def _reported(speaker: Speaker, target: Path, report: Report) -> dict[str, Any]:
    from edgecnn.cli.reports import Outcome, show_report

    return show_report(speaker, report, [target], Outcome())


def _checkpoints() -> Path | None:
    """The recipe's checkpoints in a clone; a wheel does not carry them."""
    folder = Path(__file__).resolve().parents[2] / "recipes" / "digits"
    return folder if folder.is_dir() else None
