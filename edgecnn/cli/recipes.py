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
