"""Where a network to export comes from: the zoo, a function of somebody's, torchvision or timm.

resnet50                    a name of the zoo
pets.safetensors            a checkpoint of ours, which says itself what network it is of
mypkg.nets:build            a function that returns an nn.Module, found from this folder
torchvision:resnet50        torchvision's network with its weights and their preprocessing
timm:resnet50               timm's, likewise
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.narrator import Narrator
from edgecnn.runtime.cache import cache_dir

if TYPE_CHECKING:
    from torch import nn

    from edgecnn.zoo.checkpoint import Identity
    from edgecnn.zoo.spec import ModelSpec
    from edgecnn.zoo.weights import LoadedWeights


@dataclass(frozen=True, slots=True)
class Network:
    """A network in PyTorch with its weights, and what its contract will say of it."""

    name: str
    title: str
    module: nn.Module
    preprocess: Preprocess
    labels: tuple[str, ...]
    weights: Mapping[str, Any]
    published: Mapping[str, Any] | None = None


def file_stem(model: str) -> str:
    """What the exported file of a network is called, without its suffix.

    Raises UsageError where the zoo has no network of that name.
    """
    if is_checkpoint(model):
        return Path(model).stem
    source, colon, name = model.rpartition(":")
    if not colon:
        from edgecnn.zoo.catalog import find

        return find(model).name
    if name == "build":
        name = source.rpartition(".")[2]
    return re.sub(r"[^\w.-]", "_", name)


def is_checkpoint(model: str) -> bool:
    """Whether a model is named by a file of ours that holds its weights."""
    return model.lower().endswith(".safetensors")


def identity_of(model: str) -> Identity:
    """What a checkpoint of ours says that it is; raises UsageError or WeightsError."""
    from edgecnn.zoo.checkpoint import read_checkpoint

    identity = read_checkpoint(Path(model)).identity
    if identity is None:
        raise UsageError(
            f"{model}: does not say what network it is of",
            hint=f"name the network instead of the file, and this with --weights {model}",
        )
    return identity


def load_network(
    model: str, *, weights: str | None, seed: int, contract: ContractOptions, narrator: Narrator
) -> Network:
    """The network that a name means, with its weights in it.

    The preprocessing is that of the weights; only for a function's network it is said by hand.
    Raises UsageError or WeightsError where there is no such network or no such weights.
    """
    if is_checkpoint(model):
        _refuse_what_weights_fix(contract)
        return _load_checkpoint(model, weights=weights, seed=seed, narrator=narrator)
    source, colon, name = model.rpartition(":")
    if source in ("torchvision", "timm"):
        from edgecnn.pipeline.libraries import load_from_library

        _refuse_what_weights_fix(contract)
        network = load_from_library(source, name, weights=weights, seed=seed)
    elif colon:
        from edgecnn.pipeline.function import load_from_function

        network = load_from_function(source, name, weights=weights, seed=seed, said=contract)
    else:
        _refuse_what_weights_fix(contract)
        return _load_from_zoo(model, weights=weights, seed=seed, narrator=narrator)
    size = "x".join(str(side) for side in network.preprocess.size)
    narrator.line("model", f"{network.title}, {size}")
    narrator.line("weights", str(network.weights["source"]))
    return network


def _load_checkpoint(model: str, *, weights: str | None, seed: int, narrator: Narrator) -> Network:
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.count import macs, parameters
    from edgecnn.zoo.weights import load_weights

    if weights is not None:
        raise UsageError(f"--weights does not go with {model}", hint="the file is the weights")
    spec = find(identity_of(model).model)
    loaded = load_weights(spec, model, seed=seed, cache=cache_dir())
    shape = loaded.preprocess.tensor_shape()
    counts = parameters(loaded.module), macs(loaded.module, shape)
    narrator.line("model", _told(spec.titled(loaded.build), loaded.preprocess, *counts))
    narrator.line("weights", f"{loaded.source}, {len(loaded.labels)} classes")
    return _network(spec, loaded)


def _load_from_zoo(model: str, *, weights: str | None, seed: int, narrator: Narrator) -> Network:
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.describe import describe
    from edgecnn.zoo.weights import load_weights

    spec = find(model)
    row = describe(spec)
    narrator.line("model", _told(spec.title, spec.preprocess, row.parameters, row.macs))
    with narrator.progress("weights", unit="B") as progress:
        loaded = load_weights(spec, weights, seed=seed, cache=cache_dir(), progress=progress)
    narrator.line("weights", loaded.source)
    return _network(spec, loaded)


def _told(title: str, recipe: Preprocess, parameters: int, macs: int) -> str:
    """A network in one line: its name, its images and what it costs."""
    size = "x".join(str(side) for side in recipe.size)
    work = f"{macs / 1e9:.2f} GMAC" if macs >= 1e8 else f"{macs / 1e6:.2f} MMAC"
    return f"{title}, {size}, {parameters / 1e6:.2f}M parameters, {work}"


def _network(spec: ModelSpec, loaded: LoadedWeights) -> Network:
    return Network(
        name=spec.name,
        title=spec.titled(loaded.build),
        module=loaded.module,
        preprocess=loaded.preprocess,
        labels=loaded.labels,
        weights=_weights(loaded),
        published=_published(loaded),
    )


def _weights(loaded: LoadedWeights) -> dict[str, Any]:
    said = {"source": loaded.source, "sha256": loaded.sha256, "tag": loaded.tag}
    return said | ({"training": dict(loaded.training)} if loaded.training else {})


def _published(loaded: LoadedWeights) -> dict[str, Any] | None:
    """Accuracy as the weights' publisher states it, which is never passed off as measured."""
    if loaded.published is None:
        return None
    return {"top1": loaded.published.top1, "source": loaded.published.source}


def _refuse_what_weights_fix(options: ContractOptions) -> None:
    others = sorted(set(options.given) - {"size", "labels"})
    if others:
        raise UsageError(
            f"--{others[0].replace('_', '-')} does not go with a model whose weights fix it",
            hint="only --size and --labels may be said; the rest is for networks from elsewhere",
        )
