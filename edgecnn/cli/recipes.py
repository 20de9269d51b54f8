"""Verbs that follow a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker


@click.command("run")
@click.argument("recipe", type=options.FILE)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Wins over the file.")
@options.speaking
def run_recipe(*, speaker: Speaker, recipe: Path, overrides: tuple[str, ...]) -> None:
    """Do all that a recipe asks for, skipping what is unchanged.

    \b
    edgecnn run recipes/mobilenetv2-int8.toml
    edgecnn run recipes/mobilenetv2-int8.toml --set evaluate.data=labelled/ --set threads=1
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.recipe import read_recipe

    parsed = read_recipe(recipe, overrides=overrides)
    from edgecnn.pipeline.run import run

    steps = run(parsed, narrator=speaker)
    speaker.result(
        {
            "format": 1,
            "recipe": str(recipe),
            "output": str(parsed.output),
            "steps": [
                {
                    "name": step.name,
                    "skipped": step.skipped,
                    "outputs": [str(path) for path in step.outputs],
                }
                for step in steps
            ],
        }
    )


@click.command()
@click.argument("recipe", type=options.FILE)
@options.output
@options.force
@options.speaking
def train(*, speaker: Speaker, recipe: Path, output: Path | None, force: bool) -> None:
    """Train one of the demo's small networks on digits.

    The digits are those that scikit-learn ships. Seeded; under a minute on two CPU cores. Writes
    NAME.safetensors, which edgecnn export NAME --weights NAME.safetensors takes.

    Example:  edgecnn train recipes/digits/lenet5.toml
    """
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
