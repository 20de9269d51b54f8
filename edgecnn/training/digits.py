"""The demo's networks: narrow versions of four families on the digits that scikit-learn ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgecnn.contract import Preprocess
from edgecnn.datasets.digits import CLASSES, SIDE, Split, load_digits
from edgecnn.errors import UsageError, WeightsError
from edgecnn.files import atomic_path
from edgecnn.runtime.preprocess import preprocess, preprocess_batch
from edgecnn.training.augment import Jitter
from edgecnn.training.fit import Examples, FitOptions, accuracy, fit
from edgecnn.training.schedule import Counter, Progress
from edgecnn.zoo import find
from edgecnn.zoo.checkpoint import Identity, save_checkpoint
from edgecnn.zoo.randomize import content_sha256
from edgecnn.zoo.weights import LoadedWeights, load_weights

DIGITS_NETWORKS = ("lenet5", "mobilenetv2", "resnet18", "vgg11")


@dataclass(frozen=True, slots=True)
class DigitsNetwork:
    """A network of the zoo made for digits: its builder's arguments, its input, its training."""

    name: str
    arguments: Mapping[str, int | float | bool]
    preprocess: Preprocess
    fit: FitOptions
    labels: tuple[str, ...] = field(default=CLASSES)

    def build(self) -> nn.Module:
        """The network with fresh weights; torch's own generator is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.fit.seed)
            return find(self.name).build(**self.arguments)

    def examples(self, split: Split) -> Examples:
        """One part of the digits as the contract's preprocessing makes them."""
        digits = load_digits(split)
        images = preprocess_batch(tuple(digits.images), self.preprocess)
        black = preprocess(np.zeros((SIDE, SIDE, 3), dtype=np.uint8), self.preprocess)
        return Examples(
            torch.from_numpy(images),
            torch.from_numpy(digits.labels),
            background=torch.from_numpy(black[0, :, 0, 0].copy()),
        )


def digits_network(name: str) -> DigitsNetwork:
    """One of `DIGITS_NETWORKS`, as the recipe of its name describes it. Raises UsageError."""
    for network in _networks():
        if network.name == find(name).name:
            return network
    raise UsageError(
        f"there is no digits version of {name!r}", hint=f"there is: {', '.join(DIGITS_NETWORKS)}"
    )


def train_digits(
    network: DigitsNetwork, *, progress: Counter | None = None, memory: Progress | None = None
) -> tuple[nn.Module, float]:
    """Train on the digits' train part: (network in eval mode, accuracy 0 to 1 on held-out digits).

    The held-out part is looked at once, at the end, and decides nothing. A killed training goes on
    from the state in its `memory`.
    Raises DataError where scikit-learn is not installed.
    """
    module = network.build()
    fit(module, network.examples("train"), network.fit, progress=progress, memory=memory)
    return module, accuracy(module, network.examples("held_out"))


def save_digits(module: nn.Module, target: Path, network: DigitsNetwork) -> None:
    """Write a checkpoint that says what it is; raises FileError."""
    identity = Identity(network.name, network.arguments, network.preprocess, network.labels)
    with atomic_path(target) as temporary:
        save_checkpoint(module, temporary, identity)


def load_digits_checkpoint(name: str, folder: Path) -> LoadedWeights:
    """The network of `folder`/NAME.safetensors in eval mode.

    Raises WeightsError for a file that is missing, damaged or of another network.
    """
    path = folder / f"{name}.safetensors"
    loaded = load_weights(find(name), str(path), cache=folder)
    if loaded.preprocess != digits_network(name).preprocess:
        raise WeightsError(
            f"{path}: was trained on digits prepared in another way",
            hint=f"edgecnn train {path.with_suffix('.toml')}",
        )
    return loaded


def load_or_train(
    name: str, *, folder: Path | None, progress: Counter | None = None
) -> LoadedWeights:
    """The checkpoint in `folder`, or a network trained now where there is none.

    Raises as `load_digits_checkpoint` and `train_digits` do.
    """
    if folder is not None and (folder / f"{name}.safetensors").exists():
        return load_digits_checkpoint(name, folder)
    network = digits_network(name)
    module, _ = train_digits(network, progress=progress)
    return LoadedWeights(
        module=module,
        source=f"trained on digits, seed {network.fit.seed}",
        sha256=content_sha256(module),
        tag="digits",
        preprocess=network.preprocess,
        labels=network.labels,
        published=None,
    )


def _networks() -> tuple[DigitsNetwork, ...]:
    """In the order of `DIGITS_NETWORKS`; recipes/digits/ says the same in TOML."""
    narrow = {"num_classes": 10, "width": 0.125, "small_input": True}
    return (
        DigitsNetwork("lenet5", {"num_classes": 10}, find("lenet5").preprocess, _fit(30, 3e-3)),
        DigitsNetwork("mobilenetv2", {**narrow, "width": 0.25}, _RGB, _fit(30, 5e-3)),
        DigitsNetwork("resnet18", narrow, _RGB, _fit(20, 3e-3)),
        DigitsNetwork("vgg11", narrow, _RGB, _fit(50, 3e-3)),
    )


def _fit(epochs: int, learning_rate: float) -> FitOptions:
    jitter = Jitter(degrees=10, shift=0.06, zoom=0.1)
    return FitOptions(epochs, batch=32, learning_rate=learning_rate, jitter=jitter)


# Mean and deviation of the train part, the same for all three channels: they are equal.
_RGB = Preprocess(size=(SIDE, SIDE), mean=(0.31, 0.31, 0.31), std=(0.35, 0.35, 0.35))
