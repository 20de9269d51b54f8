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
    from edgecnn.runtime import Detections, Model

_CLASSES = 5
_BOXES = 10


@click.command()
@click.argument("file", type=options.FILE)
@click.argument("source", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), help="Classes or boxes shown  [5 classes, 10 boxes]")
@options.live
@options.engine
@options.threads
@options.contract_options
@options.speaking
def classify(
    *,
    speaker: Speaker,
    file: Path,
    source: tuple[str, ...],
    top: int | None,
    live: dict[str, Any],
    engine: str,
    threads: int | None,
    contract: ContractOptions,
) -> None:
    """Say what is on images or before a camera.

    SOURCE is pictures and folders of pictures; or a video or a camera: v4l2:///dev/video0, csi://0,
    rtsp://..., http://..., a GStreamer pipeline 'a ! b'. Of a detector it shows the surest boxes:
    left, top, right and bottom in the picture's pixels; --json has all of them. With a camera,
    --json is one line for each answer and one with the summary; where there is a display, the
    terminal's view comes with a window.

    \b
    edgecnn classify mobilenetv2.int8.onnx cat.jpg
    edgecnn classify mobilenetv2.int8.onnx v4l2:///dev/video0 --record out.mp4
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.pipeline.contracts import contract_of
    from edgecnn.runtime import load
    from edgecnn.runtime.sources.find import is_camera

    said = contract_of(file, contract)
    if said.task == "embedding" and not speaker.as_json:
        raise click.UsageError(f"{file} answers with a vector, which names nothing: try --json")
    with load(file, engine=engine, threads=threads, contract=said) as model:
        if len(source) == 1 and is_camera(source[0]):
            from edgecnn.cli.live import Live, watch

            watch(speaker, model, Live(source=source[0], top=top or _CLASSES, **live))
            return
        if said_live := [name for name, value in live.items() if value is not False]:
            option = said_live[0].removesuffix("_ms").replace("_", "-")
            raise click.UsageError(f"--{option} goes with one video or camera as SOURCE")
        _classify_images(speaker, model, tuple(map(Path, source)), top)


def _classify_images(
    speaker: Speaker, model: Model, images: tuple[Path, ...], top: int | None
) -> None:
    from edgecnn.cli.live import answer_json, described
    from edgecnn.datasets.images import image_paths, read_image
    from edgecnn.datasets.inputs import read_input

    results = []
    for path in (path for item in images for path in image_paths(item)):
        started_ns = time.perf_counter_ns()
        if model.contract.task == "detection":
            found = model.detect(read_image(path))
            latency_ms = (time.perf_counter_ns() - started_ns) / 1e6
            _show_boxes(speaker, path, found, latency_ms, top or _BOXES)
            results.append(_boxes_json(path, found, latency_ms, top))
            continue
        result = model(read_input(path, model.contract.preprocess))
        latency_ms = (time.perf_counter_ns() - started_ns) / 1e6
        _show(speaker, path, described(result, top or _CLASSES), latency_ms)
        told = answer_json(result, top or _CLASSES)
        results.append({"image": str(path), **told, "latency_ms": latency_ms})
    speaker.result({"format": 1, "file": str(model.path), "results": results})


def _show(
    speaker: Speaker, path: Path, lines: tuple[tuple[str, float], ...], latency_ms: float
) -> None:
    from edgecnn.cli.live import bar

    speaker.print(f"{path}   file to label {latency_ms:.1f} ms")
    width = max((len(name) for name, _ in lines), default=0)
    for name, share in lines:
        speaker.print(f"  {name:<{width}}  {share:.2f} {bar(share)}")


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
    from edgecnn.cli.live import answer_json

    boxes = answer_json(found, len(found))["boxes"]
    return {"image": str(path), "boxes": boxes[:top], "latency_ms": latency_ms}


@click.command()
@click.argument("file", type=options.FILE)
@click.option("--device", default="local", show_default=True, help="Where: see edgecnn devices.")
@options.engine
@options.threads
@options.speaking
def verify(*, speaker: Speaker, file: Path, device: str, engine: str, threads: int | None) -> None:
    """Prove that a file gives its answers on this device, too.

    Runs the golden check of its contract: a small image, the class and the outputs it must give.

    \b
    edgecnn verify mobilenetv2.int8.onnx
    edgecnn verify mobilenetv2.int8.onnx --device jetson
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.devices.answers import verify_on
    from edgecnn.devices.find import open_device
    from edgecnn.onnxfile import read_contract

    contract = read_contract(file)
    with open_device(device) as there:
        found, facts = verify_on(there, file, engine=engine, threads=threads)
    expected, answered = (contract.label(i) for i in (found.expected, found.answered))
    speaker.result(
        {
            "format": 1,
            "file": str(file),
            "passed": found.passed,
            "expected": found.expected,
            "answered": found.answered,
            "max_abs_diff": found.max_abs_diff,
            "tolerance": found.tolerance,
            "engine": dict(facts),
            "device": device,
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
