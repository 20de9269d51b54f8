"""Verbs that use a file: classify, verify."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.runtime import Detections, Label

_BAR_WIDTH = 20
_CLASSES = 5
_BOXES = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"


@click.command()
@click.argument("file", type=options.FILE)
@click.argument("image", type=options.FILE, nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), help="Classes or boxes shown  [5 classes, 10 boxes]")
@options.engine
@options.threads
@options.contract_options
@options.speaking
def classify(
    *,
    speaker: Speaker,
    file: Path,
    image: tuple[Path, ...],
    top: int | None,
    engine: str,
    threads: int | None,
    contract: ContractOptions,
) -> None:
    """Say what is on an image, with the file that ships.

    IMAGE is a picture or a folder of pictures. Of a detector it shows the surest boxes: left, top,
    right and bottom in the picture's pixels; --json has all of them.

    Example:  edgecnn classify mobilenetv2.int8.onnx cat.jpg
    """
    from edgecnn.datasets.images import image_paths, read_image
    from edgecnn.pipeline.contracts import contract_of
    from edgecnn.runtime import load

    results = []
    with load(file, engine=engine, threads=threads, contract=contract_of(file, contract)) as model:
        for path in (path for item in image for path in image_paths(item)):
            started_ns = time.perf_counter_ns()
            if model.contract.task == "detection":
                found = model.detect(read_image(path))
                latency_ms = (time.perf_counter_ns() - started_ns) / 1e6
                _show_boxes(speaker, path, found, latency_ms, top or _BOXES)
                results.append(_boxes_json(path, found, latency_ms, top))
                continue
            labels = model.classify(read_image(path), top=top or _CLASSES)
            latency_ms = (time.perf_counter_ns() - started_ns) / 1e6
            _show(speaker, path, labels, latency_ms)
            results.append(_as_json(path, labels, latency_ms))
    speaker.result({"format": 1, "file": str(file), "results": results})


def _show(speaker: Speaker, path: Path, labels: tuple[Label, ...], latency_ms: float) -> None:
    speaker.print(f"{path}   file to label {latency_ms:.1f} ms")
    width = max(len(label.name) for label in labels)
    for label in labels:
        speaker.print(f"  {label.name:<{width}}  {label.score:.2f} {_bar(label.score)}")


def _show_boxes(
    speaker: Speaker, path: Path, found: Detections, latency_ms: float, top: int
) -> None:
    speaker.print(f"{path}   file to boxes {latency_ms:.1f} ms")
    names = found.names[:top]
    width = max(map(len, names), default=0)
    for name, score, box in zip(names, found.scores, found.boxes, strict=False):
        sides = " ".join(f"{side:6.0f}" for side in box)
        speaker.print(f"  {name:<{width}}  {score:.2f}  {sides}")
    if not names:
        speaker.print("  nothing")
    if len(found) > top:
        speaker.print(f"  and {len(found) - top} more: --top shows as many as you say")


def _boxes_json(
    path: Path, found: Detections, latency_ms: float, top: int | None
) -> dict[str, Any]:
    """All boxes, the surest first, or as many as were asked for."""
    boxes = [
        {"index": int(index), "name": name, "score": float(score), "box": box.tolist()}
        for index, name, score, box in zip(
            found.classes, found.names, found.scores, found.boxes, strict=True
        )
    ]
    return {"image": str(path), "boxes": boxes[:top], "latency_ms": latency_ms}


def _bar(share: float) -> str:
    whole, rest = divmod(round(share * _BAR_WIDTH * 8), 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip()


def _as_json(path: Path, labels: tuple[Label, ...], latency_ms: float) -> dict[str, Any]:
    named = [{"index": item.index, "name": item.name, "score": item.score} for item in labels]
    return {"image": str(path), "labels": named, "latency_ms": latency_ms}


@click.command()
@click.argument("file", type=options.FILE)
@options.engine
@options.threads
@options.speaking
def verify(*, speaker: Speaker, file: Path, engine: str, threads: int | None) -> None:
    """Prove that a file gives its answers on this device, too.

    Runs the golden check of its contract: a small image, the class and the outputs it must give.

    Example:  edgecnn verify mobilenetv2.int8.onnx
    """
    from edgecnn.runtime import load

    with load(file, engine=engine, threads=threads) as model:
        found = model.verify()
        facts = dict(model.facts)
        expected, answered = (model.contract.label(i) for i in (found.expected, found.answered))
    speaker.result(
        {
            "format": 1,
            "file": str(file),
            "passed": found.passed,
            "expected": found.expected,
            "answered": found.answered,
            "max_abs_diff": found.max_abs_diff,
            "tolerance": found.tolerance,
            "engine": facts,
        }
    )
    diff = f"max |diff| {found.max_abs_diff:.2g}, {found.tolerance:.2g} allowed"
    if not found.passed:
        raise EdgecnnError(
            f"{file}: the golden check fails on {facts['engine']}: "
            f"{answered!r} for {expected!r}, {diff}",
            hint="this CPU or engine version computes differently: quantize for it, or report it",
        )
    speaker.line("golden", f"{expected!r} as shipped, {diff}; {facts['engine']}")
