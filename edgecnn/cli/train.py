"""The verb that teaches: a network of the zoo learns other classes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.cli.teach import show_views, teach_by_recipe, teach_integers, teach_photos


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
        _check_recipe(recipe)
        options.refuse_all_but("recipe", "data", "threads", "output", "force", told="a RECIPE")
        teach_by_recipe(speaker, recipe, data, threads=threads, output=output, force=force)
        return
    if model is None or data is None:
        raise click.UsageError("say what to train and on what: --model NAME --data DIR")
    if int8:
        allowed = ("int8", "model", "data", "target", "epochs", "output", "seed", "force")
        options.refuse_all_but(*allowed, told="--int8")
        teach_integers(
            speaker,
            Path(model),
            data,
            target=target,
            epochs=epochs,
            output=output,
            seed=seed,
            force=force,
        )
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
        options.refuse_all_but(*shown, "seed", "force", told="--show-augmented")
        show_views(speaker, model, chosen, show_augmented, force=force)
    else:
        teach_photos(speaker, model, chosen, output=output, force=force)


def _check_recipe(path: Path) -> None:
    """Raise UsageError for what is no recipe by its name, but what another option takes."""
    if path.is_dir():
        raise click.UsageError(f"{path} is a folder: --model NAME --data {path}")
    if path.suffix.lower() != ".toml":
        raise click.UsageError(f"{path} is no recipe (FILE.toml): --model {path} --data DIR")


def _build(width: float | None, *, small_input: bool) -> dict[str, float | bool]:
    """Only what was said: not every network takes both."""
    said: dict[str, float | bool] = {} if width is None else {"width": width}
    return said | ({"small_input": True} if small_input else {})
