"""One row of `edgecnn models`: what is known about a network before it is built for good."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.contract import Task
from edgecnn.zoo.figures import figures
from edgecnn.zoo.spec import ModelSpec, Published, WeightsSpec


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A network's figures, without what only training uses.

    `macs` are of one image; `weights` are what `--weights` takes for it; `labels` names the set of
    classes that `published` is about.
    """

    name: str
    family: str
    title: str
    parameters: int
    macs: int
    input: tuple[int, int, int, int]
    published: Published | None
    weights: tuple[str, ...]
    labels: str
    task: Task


def describe(spec: ModelSpec) -> ModelRow:
    """A network's row; of one that is not in the catalog, it is counted in PyTorch."""
    parameters, macs = figures(spec)
    default = spec.default_weights
    return ModelRow(
        name=spec.name,
        family=spec.family,
        title=spec.title,
        parameters=parameters,
        macs=macs,
        input=spec.preprocess.tensor_shape(),
        published=default.published if default else spec.published,
        weights=tuple(_choice(weights) for weights in spec.weights),
        labels=spec.labels,
        task=spec.task,
    )


def _choice(weights: WeightsSpec) -> str:
    if weights.package is not None:
        return f"package {weights.package}"
    return f"official:{weights.tag}"
