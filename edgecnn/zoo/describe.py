"""One row of `edgecnn models`: what is known about a network before it is built for good."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edgecnn.contract import Task
from edgecnn.zoo.count import macs, parameters
from edgecnn.zoo.spec import ModelSpec, Published, WeightsSpec


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A network's figures, without what only training uses.

    `macs` are of one image; `weights` are what `--weights` takes for it.
    """

    name: str
    family: str
    title: str
    parameters: int
    macs: int
    input: tuple[int, int, int, int]
    published: Published | None
    weights: tuple[str, ...]
    task: Task = "classification"


def describe(spec: ModelSpec) -> ModelRow:
    """Count a network without drawing weights for it: a few milliseconds each."""
    with torch.device("meta"):
        network = spec.build()
    network.to_empty(device="cpu")  # addresses without contents: no memory is touched
    shape = spec.preprocess.tensor_shape()
    default = spec.default_weights
    return ModelRow(
        name=spec.name,
        family=spec.family,
        title=spec.title,
        parameters=parameters(network),
        macs=macs(network, shape),
        input=shape,
        published=default.published if default else None,
        weights=tuple(_choice(weights) for weights in spec.weights),
        task=spec.task,
    )


def _choice(weights: WeightsSpec) -> str:
    if weights.package is not None:
        return f"package {weights.package}"
    return f"official:{weights.tag}"
