"""What a training starts from: a network of the zoo, new, with published weights or with ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.contract import Preprocess
from edgecnn.datasets.classified import class_labels
from edgecnn.errors import UsageError
from edgecnn.pipeline.listening import prepared
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.sources import identity_of, is_checkpoint
from edgecnn.pipeline.train_options import TrainOptions
from edgecnn.runtime.cache import cache_dir

if TYPE_CHECKING:
    from edgecnn.training.adapt import Adapted, Tune
    from edgecnn.zoo.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Begun:
    """A network to tune, how its images are prepared, and what names its weights; `training` is how
    these were learnt, where one of our checkpoints says it.
    """

    spec: ModelSpec
    network: Adapted
    preprocess: Preprocess
    weights_sha256: str
    training: Mapping[str, Any] = field(default_factory=dict)


def file_stem(model: str) -> str:
    """What the files of a training are called first; UsageError for what cannot be trained."""
    if is_checkpoint(model):
        return Path(model).stem
    if ":" in model or model.lower().endswith(".onnx"):
        raise UsageError(
            f"{model} cannot be trained here",
            hint="a network of the zoo (edgecnn models) or a checkpoint of edgecnn train",
        )
    if Path(model).is_file():
        raise UsageError(
            f"{model} does not say what network it is of", hint=f"--model NAME --weights {model}"
        )
    from edgecnn.zoo.catalog import find

    return find(model).name


def _check_weights(options: TrainOptions) -> None:
    """Raise UsageError where what was said of the weights does not go with the rest."""
    if options.weights == "random" and options.tune != "all":
        raise UsageError(
            f"--tune {options.tune} has no use where all weights are random", hint="--tune all"
        )
    if options.weights != "random" and (options.build or options.size):
        raise UsageError(
            "the weights fix the network's width and the size of its images",
            hint="for others start from scratch: --weights random --tune all",
        )


def begin(model: str, tune: Tune, options: TrainOptions, narrator: Narrator) -> Begun:
    """The network with its weights and a place for each class of the data, told about.

    No photo is read, so that what cannot be is said at once. Raises UsageError or WeightsError
    where there is no such network, no such weights or no such way to tune it, DataError where there
    are no such classes.
    """
    from edgecnn.training.adapt import check_tune

    _check_weights(options)
    labels = class_labels(options.data, options.classes)
    begun = _opened(model, labels, options, narrator)
    check_tune(begun.spec.name, begun.network.module, tune, begun.preprocess.tensor_shape())
    return begun


def _opened(
    model: str, labels: tuple[str, ...], options: TrainOptions, narrator: Narrator
) -> Begun:
    from edgecnn.training.adapt import adapt, check_size, check_task, fresh
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.weights import load_weights

    choice, name = options.weights, model
    if is_checkpoint(model):
        choice, name = _checkpoint(model, options.weights)
    spec = find(name)
    check_task(spec)
    if choice == "random":
        network = fresh(spec, labels, options.build, seed=options.seed)
        preprocess = prepared(spec.preprocess, options)
        check_size(spec, network, preprocess)
        narrator.line("model", f"{spec.titled(network.arguments)}, random weights")
        return Begun(spec, network, preprocess, "random")
    with narrator.progress("weights", unit="B") as progress:
        loaded = load_weights(spec, choice, seed=options.seed, cache=cache_dir(), progress=progress)
    narrator.line("model", f"{spec.titled(loaded.build)}, {loaded.source}")
    network = adapt(spec, loaded, labels, seed=options.seed)
    preprocess = prepared(loaded.preprocess, options)
    return Begun(spec, network, preprocess, loaded.sha256, loaded.training)


def _checkpoint(model: str, weights: str | None) -> tuple[str, str]:
    """The file as the weights, and the network that it says it is of."""
    if weights is not None:
        raise UsageError(f"--weights does not go with {model}", hint="the file is the weights")
    return model, identity_of(model).model
