"""The ways to teach: photos, a recipe, digits, the integers of a file; and a look before it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli.speak import Speaker
from edgecnn.counted import counted

if TYPE_CHECKING:
    from edgecnn.pipeline.train import TrainResult
    from edgecnn.pipeline.train_options import TrainOptions

_INT8_EPOCHS = 8


def teach_photos(
    speaker: Speaker, model: str, chosen: TrainOptions, *, output: Path | None, force: bool
) -> None:
    """Train a network on photos or sounds, and say what comes next."""
    from edgecnn.pipeline.train import train

    result = train(model, options=chosen, output=output, force=force, narrator=speaker)
    speaker.next(f"edgecnn export {result.path}")
    speaker.result(_document(result))


def show_views(
    speaker: Speaker, model: str, chosen: TrainOptions, target: Path, *, force: bool
) -> None:
    """Write the contact sheet of what training would see."""
    from edgecnn.pipeline.augmented_sheet import show_augmented

    if target.suffix.lower() != ".png":
        raise click.BadParameter("it is a picture: FILE.png", param_hint="--show-augmented")
    name, rows = show_augmented(model, options=chosen, target=target, force=force)
    speaker.line("wrote", f"{target}: {rows} photos as they are used, then in 7 views ({name})")
    speaker.result({"format": 1, "sheet": str(target), "augment": name, "photos": rows})


def teach_integers(
    speaker: Speaker,
    source: Path,
    data: Path,
    *,
    target: str | None,
    epochs: int | None,
    output: Path | None,
    seed: int,
    force: bool,
) -> None:
    """Quantize a float file and let its integers learn."""
    from edgecnn.cli.quantize import quantize_document
    from edgecnn.pipeline.calibration import find_calibration
    from edgecnn.pipeline.quantize import QuantizeOptions, quantize

    if source.suffix.lower() != ".onnx":
        raise click.UsageError("--int8 takes a float file: --model FILE.onnx (edgecnn export)")
    images = find_calibration(str(data), seed=seed)
    chosen = QuantizeOptions(target=target, finetune=epochs or _INT8_EPOCHS, seed=seed)
    result = quantize(source, images, options=chosen, output=output, force=force, narrator=speaker)
    speaker.next(f"edgecnn profile {source} {result.path}")
    speaker.result(quantize_document(result))


def teach_by_recipe(
    speaker: Speaker,
    recipe: Path,
    data: Path | None,
    *,
    threads: int | None,
    output: Path | None,
    force: bool,
) -> None:
    """Train as a recipe says: on photos, which `data` names, or on the demo's digits."""
    from edgecnn.pipeline.train_recipe import is_for_photos, read_photo_training

    if is_for_photos(recipe):
        if data is None:
            raise click.UsageError(f"{recipe} trains on photos: say where they lie with --data DIR")
        model, chosen = read_photo_training(recipe, data)
        chosen = dataclasses.replace(chosen, threads=threads)
        teach_photos(speaker, model, chosen, output=output, force=force)
        return
    if data is not None:
        raise click.UsageError(f"{recipe} names its data itself: leave --data out")
    if threads is not None:
        raise click.UsageError("digits are learnt on one thread: leave --threads out")
    _teach_digits(speaker, recipe, output=output, force=force)


def _teach_digits(speaker: Speaker, recipe: Path, *, output: Path | None, force: bool) -> None:
    """Train one of the demo's small networks on digits, as its recipe says."""
    from edgecnn.pipeline.export import check_target
    from edgecnn.pipeline.writing import tool_versions
    from edgecnn.runtime.cache import unfinished_file
    from edgecnn.training.digits import save_digits, train_digits
    from edgecnn.training.recipe import read_training
    from edgecnn.training.schedule import Progress

    network = read_training(recipe)
    target = output or Path(f"{network.name}.safetensors")
    check_target(target, force=force)
    speaker.line("train", f"{network.name} on digits, {counted(network.fit.epochs, 'epoch')}")
    key = {"network": repr(network), **tool_versions("torch", "numpy")}
    memory = Progress(unfinished_file("digits", key))
    with speaker.progress("train") as progress:
        module, top1 = train_digits(network, progress=progress, memory=memory)
    save_digits(module, target, network)
    memory.forget()
    speaker.line("accuracy", f"{top1:.1%} of the held-out digits")
    speaker.line("wrote", str(target))
    speaker.next(f"edgecnn export {target}")
    speaker.result(
        {"format": 1, "model": network.name, "output": str(target), "held_out_top1": top1 * 100}
    )


def _document(result: TrainResult) -> dict[str, object]:
    accuracy = result.accuracy
    return {
        "format": 1,
        "model": result.model,
        "output": str(result.path),
        "report": str(result.report),
        "held_out": str(result.held_out),
        "trained": str(result.trained),
        "classes": list(result.photos.labels),
        "photos": {
            "train": len(result.parts.train),
            "watched": len(result.parts.watched),
            "held_out": len(result.parts.held_out),
            "broken": [str(error) for error in result.photos.broken],
        },
        "epochs": len(result.epochs),
        "held_out_top1": {
            "value": accuracy.value * 100,
            "low": accuracy.low * 100,
            "high": accuracy.high * 100,
        },
        "wall_s": round(result.wall_s, 2),
    }
