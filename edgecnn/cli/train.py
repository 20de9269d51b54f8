"""The verb that teaches: a network of the zoo learns other classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.train import TrainResult
    from edgecnn.pipeline.train_options import TrainOptions

_INT8_EPOCHS = 8


def _names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if value else ()


@click.command()
@click.argument("recipe", type=options.FILE, required=False)
@click.option("--model", help="A network of the zoo, or a checkpoint of an earlier training.")
@click.option("--data", type=options.FILE, help="Photos or sounds: a folder per class, or a table.")
@click.option("--classes", callback=_names, help="Only these, in this order: cat,dog,bird  [all]")
@click.option("--tune", default="head", show_default=True, help="What learns: head, last:N or all.")
@click.option("--weights", help="To start from: official[:TAG], a file, or random  [official]")
@click.option("--width", type=float, help="With random weights: of all channels, as 0.5.")
@click.option("--size", type=options.size, help="With random weights: of the images, as 32.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 600, min_open=True),
    help="Of sounds: how long it listens, to their middle  [1]",
)
@click.option("--small-input", is_flag=True, help="With random weights: a stem for small images.")
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the photos that only judges.",
)
@click.option(
    "--augment",
    type=click.Choice(["photos", "strong", "text", "none"]),
    help="How photos are changed by chance  [text for characters and gray images, else photos]",
)
@click.option(
    "--show-augmented", type=options.FILE, help="Only write a contact sheet of it, as FILE.png."
)
@click.option(
    "--int8",
    is_flag=True,
    help="Train the integers of FILE.onnx: quantize it, then let them learn to answer as FP32.",
)
@click.option("--target", metavar="NAME", help="With --int8: as in edgecnn quantize  [this CPU]")
@click.option("--epochs", type=click.IntRange(1), help="At most  [100 head, 20 last, 30 all]")
@click.option("--batch", type=click.IntRange(2), help="Photos a step  [64 head, else 32]")
@click.option("--lr", "learning_rate", type=float, help="The highest rate of the cosine.")
@click.option("--optimizer", type=click.Choice(["adamw", "sgd"]), help="[adamw]")
@click.option("--weight-decay", type=float)
@click.option("--label-smoothing", type=float, help="[0.1]")
@click.option("--ema", type=float, help="Running mean of the weights: what a step leaves of it.")
@click.option("--patience", type=click.IntRange(0), help="Stop after so many epochs for nothing.")
@click.option("--balance/--no-balance", default=None, help="Let rare classes weigh more  [yes]")
@options.output
@options.force
@options.threads
@options.seed
@options.speaking
def train(
    *,
    speaker: Speaker,
    recipe: Path | None,
    model: str | None,
    data: Path | None,
    classes: tuple[str, ...],
    tune: str,
    weights: str | None,
    width: float | None,
    size: tuple[int, int] | None,
    seconds: float | None,
    small_input: bool,
    held_out: float,
    augment: str | None,
    show_augmented: Path | None,
    int8: bool,
    target: str | None,
    epochs: int | None,
    batch: int | None,
    learning_rate: float | None,
    optimizer: Literal["adamw", "sgd"] | None,
    weight_decay: float | None,
    label_smoothing: float | None,
    ema: float | None,
    patience: int | None,
    balance: bool | None,
    output: Path | None,
    force: bool,
    threads: int | None,
    seed: int,
) -> None:
    """Teach a network the classes of your photos.

    --tune head trains the last layer alone on features that are computed once: minutes, and enough
    for most photos. last:N trains the N last stages, all the whole network. Duplicates and bursts
    stay on one side of the split; broken files are listed and left out. A training that was killed
    goes on after its last whole epoch. Writes a checkpoint, a report, and the split: the
    held-out photos to evaluate exported files on, the others to calibrate them with.

    --int8 fine-tunes the INT8 version of a float file: ranges and repairs as edgecnn quantize, then
    weights and biases learn through the target's own rounding, from FP32's answers to the photos
    (labels are not needed). An epoch is kept only where it helps on photos kept aside.

    \b
    edgecnn train --model mobilenetv2 --data photos/
    edgecnn train --model efficientnet_lite0 --data photos/ --tune last:3 -o pets.safetensors
    edgecnn export pets.safetensors
    edgecnn quantize pets.onnx --calibration pets.trained.txt --data pets.held-out.tsv
    edgecnn train --int8 --model pets.onnx --data photos/
    edgecnn train recipes/digits/lenet5.toml
    edgecnn train recipes/cifar10/mobilenetv2.toml --data cifar10/train
    """  # noqa: D301  \b is click's word for 'do not wrap'
    if recipe is not None:
        _refuse_all_but("recipe", "data", "threads", "output", "force", told="a RECIPE")
        train_recipe(speaker, recipe, data, threads=threads, output=output, force=force)
        return
    if model is None or data is None:
        raise click.UsageError("say what to train and on what: --model NAME --data DIR")
    if int8:
        allowed = ("int8", "model", "data", "target", "epochs", "output", "seed", "force")
        _refuse_all_but(*allowed, told="--int8")
        _finetune(speaker, Path(model), data, target, epochs, output, seed=seed, force=force)
        return
    if target is not None:
        raise click.UsageError("--target goes with --int8")
    from edgecnn.pipeline.train_options import Pace, TrainOptions

    pace = Pace(
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        optimizer=optimizer,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        ema=ema,
        patience=patience,
        balance=balance,
    )
    chosen = TrainOptions(
        data=data,
        classes=classes,
        tune=tune,
        weights=weights,
        held_out=held_out,
        augment=augment,
        pace=pace,
        build=_build(width, small_input=small_input),
        size=size,
        seconds=seconds,
        seed=seed,
        threads=threads,
    )
    if show_augmented is not None:
        shown = ("show_augmented", "model", "data", "classes", "augment", "size", "seconds")
        _refuse_all_but(*shown, "seed", "force", told="--show-augmented")
        _show(speaker, model, chosen, show_augmented, force=force)
    else:
        _train(speaker, model, chosen, output=output, force=force)


def _refuse_all_but(*allowed: str, told: str) -> None:
    """Raise UsageError for an option that was given and would do nothing."""
    context = click.get_current_context()
    for name in context.params:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in (*allowed, "as_json", "quiet", "debug"):
            option = next(item for item in context.command.params if item.name == name)
            raise click.UsageError(f"{option.opts[0]} does not go with {told}")


def _build(width: float | None, *, small_input: bool) -> dict[str, float | bool]:
    """Only what was said: not every network takes both."""
    said: dict[str, float | bool] = {} if width is None else {"width": width}
    return said | ({"small_input": True} if small_input else {})


def _show(speaker: Speaker, model: str, chosen: TrainOptions, target: Path, *, force: bool) -> None:
    from edgecnn.pipeline.augmented_sheet import show_augmented

    if target.suffix.lower() != ".png":
        raise click.BadParameter("it is a picture: FILE.png", param_hint="--show-augmented")
    name, rows = show_augmented(model, options=chosen, target=target, force=force)
    speaker.line("wrote", f"{target}: {rows} photos as they are used, then in 7 views ({name})")
    speaker.result({"format": 1, "sheet": str(target), "augment": name, "photos": rows})


def _train(
    speaker: Speaker, model: str, chosen: TrainOptions, *, output: Path | None, force: bool
) -> None:
    from edgecnn.pipeline.train import train as work

    result = work(model, options=chosen, output=output, force=force, narrator=speaker)
    speaker.next(f"edgecnn export {result.path}")
    speaker.result(_document(result))


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


def _finetune(
    speaker: Speaker,
    source: Path,
    data: Path,
    target: str | None,
    epochs: int | None,
    output: Path | None,
    *,
    seed: int,
    force: bool,
) -> None:
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


def train_recipe(
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

    photos = is_for_photos(recipe)
    if photos and data is None:
        raise click.UsageError(f"{recipe} trains on photos: say where they lie with --data DIR")
    if data is None:
        _train_digits(speaker, recipe, output=output, force=force)
        return
    if not photos:
        raise click.UsageError(f"{recipe} names its data itself: leave --data out")
    model, chosen = read_photo_training(recipe, data)
    chosen = dataclasses.replace(chosen, threads=threads)
    _train(speaker, model, chosen, output=output, force=force)


def _train_digits(speaker: Speaker, recipe: Path, *, output: Path | None, force: bool) -> None:
    """Train one of the demo's small networks on digits, as its recipe says."""
    from edgecnn.pipeline.export import check_target
    from edgecnn.training.digits import save_digits, train_digits
    from edgecnn.training.recipe import read_training

    network = read_training(recipe)
    target = output or Path(f"{network.name}.safetensors")
    check_target(target, force=force)
    speaker.line("train", f"{network.name} on digits, {network.fit.epochs} epochs")
    with speaker.progress("train") as progress:
        module, top1 = train_digits(network, progress=progress)
    save_digits(module, target, network)
    speaker.line("accuracy", f"{top1:.1%} of the held-out digits")
    speaker.line("wrote", str(target))
    speaker.next(f"edgecnn export {network.name} --weights {target}")
    speaker.result(
        {"format": 1, "model": network.name, "output": str(target), "held_out_top1": top1 * 100}
    )
