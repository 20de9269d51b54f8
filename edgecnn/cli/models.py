"""The verb that lists the networks of the zoo."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, get_args

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.contract import Task

if TYPE_CHECKING:
    from edgecnn.zoo.describe import ModelRow
    from edgecnn.zoo.spec import ModelSpec

_UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}
# Accuracies that are not on ImageNet compare with those alone that are on the same images.
_ON = {"cifar10": " (CIFAR-10)"}


def _count(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """A number of parameters: 5M, 0.5M, 500K, 62000."""
    if value is None:
        return None
    unit = _UNITS.get(value[-1:].upper())
    try:
        count = round(float(value[:-1] if unit else value) * (unit or 1))
    except (ValueError, OverflowError):
        count = -1
    if count < 0:
        raise click.BadParameter(f"{value!r} is not a number like 5M or 500K")
    return count


@click.command()
@click.argument("pattern", required=False)
@click.option("--family", help="Only this family's: ResNet, VGG, MobileNetV3.")
@click.option("--task", type=click.Choice(get_args(Task)), help="Only those for this task.")
@click.option("--max-params", callback=_count, metavar="N", help="With at most so many: 5M.")
@click.option(
    "--sort",
    type=click.Choice(["name", "params", "macs", "top1"]),
    help="Smallest first; of top1 the best first, ImageNet's before others  [family by family]",
)
@options.speaking
def models(
    *,
    speaker: Speaker,
    pattern: str | None,
    family: str | None,
    task: str | None,
    max_params: int | None,
    sort: str | None,
) -> None:
    """List the networks of the zoo: sizes, published accuracies.

    PATTERN is a part of the names, or stands for them with * and ?, or is any name that a network
    is found by.

    \b
    edgecnn models mobilenet --max-params 3M
    edgecnn models --task classification --sort top1
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.zoo.describe import describe

    chosen = _chosen(pattern, _of_family(family))
    rows = [describe(spec) for spec in chosen if task in (None, spec.task)]
    if max_params is not None:
        rows = [row for row in rows if row.parameters <= max_params]
    if sort is not None:
        rows.sort(key=lambda row: _place(row, sort))
    _tell(speaker, rows)
    speaker.result({"format": 1, "models": [_as_json(row) for row in rows]})


def _of_family(family: str | None) -> list[ModelSpec]:
    from edgecnn.zoo.catalog import find, names

    specs = [find(name) for name in names()]
    if family is None:
        return specs
    known = {spec.family.casefold(): spec.family for spec in specs}
    if family.casefold() not in known:
        raise click.UsageError(f"no family {family!r}; there are {', '.join(known.values())}")
    return [spec for spec in specs if spec.family.casefold() == family.casefold()]


def _chosen(pattern: str | None, among: list[ModelSpec]) -> list[ModelSpec]:
    """Those whose names match, and the one that the pattern itself names."""
    chosen = [spec for spec in among if _matches(spec.name, pattern)]
    meant = _meant(pattern)
    known = {spec.family for spec in among}
    if meant is None or meant in chosen or meant.family not in known:
        return chosen
    return [meant, *chosen]


def _meant(pattern: str | None) -> ModelSpec | None:
    from edgecnn.errors import UsageError
    from edgecnn.zoo.catalog import find

    try:
        return None if pattern is None else find(pattern)
    except UsageError:
        return None


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    wanted = pattern.casefold()
    if any(sign in wanted for sign in "*?["):
        return fnmatch.fnmatchcase(name, wanted)
    return _plain(wanted) in _plain(name)


def _plain(name: str) -> str:
    """A name without what separates its parts, which everybody types otherwise."""
    return re.sub(r"[\s._-]+", "", name)


def _place(row: ModelRow, sort: str) -> tuple[float, float, str]:
    """Where a row stands; accuracies on ImageNet, then those on other images, then none."""
    if sort == "top1":
        if row.published is None:
            return 2, 0, row.name
        return float(row.labels != "imagenet1k"), -row.published.top1, row.name
    return 0, {"name": 0, "params": row.parameters, "macs": row.macs}[sort], row.name


def _tell(speaker: Speaker, rows: list[ModelRow]) -> None:
    if not rows:
        speaker.print("No network is like that; edgecnn models lists them all.")
        return
    width = max(20, 2 + max(len(row.name) for row in rows))
    numbers = f"{'params':>8}{'GMAC':>8}  {'input':<9}"
    speaker.print(f"{'model':<{width}}{numbers}{'top-1 % as published':<22}weights")
    for row in rows:
        speaker.print(_row(row, width))
    speaker.print(f"\nExport one:  edgecnn export {rows[0].name}")
    speaker.print(f"Look inside: edgecnn inspect {rows[0].name}")


def _row(row: ModelRow, width: int) -> str:
    published = f"{row.published.top1:.1f}{_ON.get(row.labels, '')}" if row.published else "-"
    return (
        f"{row.name:<{width}}{row.parameters / 1e6:>7.2f}M{_gmac(row.macs):>8}  "
        f"{'x'.join(map(str, row.input[2:])):<9}{published:<22}{_weights(row)}"
    )


def _gmac(macs: int) -> str:
    """Two decimals, or as many as a small network needs."""
    return f"{macs / 1e9:.2f}" if macs >= 1e8 else f"{macs / 1e9:.2g}"


def _weights(row: ModelRow) -> str:
    """A package's name is long; that there is one says enough here."""
    return ", ".join(choice.split(" ")[0] for choice in row.weights) or "random"


def _as_json(row: ModelRow) -> dict[str, Any]:
    published = row.published
    return {
        "name": row.name,
        "family": row.family,
        "task": row.task,
        "labels": row.labels,
        "parameters": row.parameters,
        "macs": row.macs,
        "input": list(row.input),
        "published": {"top1": published.top1, "source": published.source} if published else None,
        "weights": list(row.weights),
    }
