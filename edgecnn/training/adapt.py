"""A network of the zoo for other classes: what it knows stays, its last layer begins anew."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.zoo.blocks import head
from edgecnn.zoo.multipliers import WIDTHS
from edgecnn.zoo.seed import seeded
from edgecnn.zoo.spec import ModelSpec
from edgecnn.zoo.weights import LoadedWeights

Arguments = Mapping[str, int | float | bool]


@dataclass(frozen=True, slots=True)
class Adapted:
    """A network, what it was built with, and whether it knows anything yet."""

    module: nn.Module
    arguments: Arguments
    pretrained: bool


def check_task(spec: ModelSpec) -> None:
    """Raise UsageError for a network that does not tell classes apart."""
    if spec.task != "classification":
        raise UsageError(
            f"{spec.name} does not classify", hint="edgecnn models --task classification"
        )


def fresh(spec: ModelSpec, labels: tuple[str, ...], arguments: Arguments, *, seed: int) -> Adapted:
    """A network with new weights, drawn from `seed`; raises UsageError where it cannot be."""
    built = _arguments(spec, arguments, len(labels))
    return Adapted(_built(spec, built, seed), built, pretrained=False)


def adapt(spec: ModelSpec, loaded: LoadedWeights, labels: tuple[str, ...], *, seed: int) -> Adapted:
    """A network with loaded weights and as many classes as there are labels.

    The last layer is kept where its labels are these very ones, else drawn from `seed`.
    """
    arguments = _arguments(spec, loaded.build, len(labels))
    module = _built(spec, arguments, seed)
    fresh_values = module.state_dict()
    last = head(module)[0]
    kept = {
        name: value
        for name, value in loaded.module.state_dict().items()
        if name in fresh_values
        and value.shape == fresh_values[name].shape
        and (loaded.labels == labels or not name.startswith(f"{last}."))
    }
    module.load_state_dict(kept, strict=False)
    return Adapted(module, arguments, pretrained=True)


def check_size(spec: ModelSpec, network: Adapted, preprocess: Preprocess) -> None:
    """Raise UsageError where images of that size end inside the network."""
    try:
        with torch.inference_mode():
            network.module.eval()(torch.zeros(preprocess.tensor_shape()))
    except RuntimeError as error:
        height, width = preprocess.size
        cause = " ".join(str(error).split())
        raise UsageError(
            f"{spec.name} cannot see images of {height}x{width}: {cause:.120}",
            hint="another size: --size 64",
        ) from error


def _arguments(spec: ModelSpec, known: Arguments, classes: int) -> dict[str, int | float | bool]:
    arguments = {**known, "num_classes": classes}
    if "auxiliary" in inspect.signature(spec.build).parameters:
        arguments["auxiliary"] = False
    return arguments


def _built(spec: ModelSpec, arguments: Arguments, seed: int) -> nn.Module:
    try:
        _check_width(arguments.get("width", 1))
        with seeded(seed):
            return spec.build(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise UsageError(
            f"{spec.name} cannot be built so: {cause:.120}",
            hint="not every network takes a width or small images: edgecnn models",
        ) from error


def _check_width(width: float) -> None:
    """Raise ValueError for a factor that leaves no network, or one that no machine holds."""
    least, most = WIDTHS
    if not least <= width <= most:
        raise ValueError(f"width {width} is not a factor from {least:g} to {most:g}")


@dataclass(frozen=True, slots=True)
class Tune:
    """Which part of a network learns: the `head`, its `last` N stages, or `all`."""

    way: str
    stages: int = 0

    def __str__(self) -> str:
        return f"{self.way}:{self.stages}" if self.way == "last" else self.way


def parse_tune(text: str) -> Tune:
    """`head`, `last:N` or `all`; raises UsageError for anything else."""
    way, colon, number = text.partition(":")
    if way == "last" and number.isdecimal() and int(number) > 0:
        return Tune(way, int(number))
    if way in ("head", "all") and not colon:
        return Tune(way)
    raise UsageError(f"--tune {text!r:.40} is not known", hint="head, last:N (as last:3) or all")


def stages(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The parts of a network with weights, first to last: its children, sequences taken apart."""
    return [
        (name, part) for name, part in _parts(network) if next(part.parameters(), None) is not None
    ]


def _parts(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if type(child) is nn.Sequential:
            yield from ((f"{name}.{inner}", part) for inner, part in child.named_children())
        else:
            yield name, child


def check_tune(name: str, network: nn.Module, tune: Tune, image_shape: tuple[int, ...]) -> None:
    """Raise UsageError for a way that the network cannot be tuned in."""
    if tune.way == "head":
        Features(name, network, image_shape)
    elif tune.way == "last":
        _last_stages(network, tune.stages)


def freeze(network: nn.Module, tune: Tune) -> tuple[nn.Module, ...]:
    """Let only the `last` stages learn, or `all`; returns these, which alone go into training mode.

    Raises UsageError where the network has fewer stages.
    """
    if tune.way == "all":
        return (network,)
    chosen = _last_stages(network, tune.stages)
    for value in network.parameters():
        value.requires_grad_(False)
    for part in chosen:
        for value in part.parameters():
            value.requires_grad_(True)
    return chosen


def _last_stages(network: nn.Module, count: int) -> tuple[nn.Module, ...]:
    parts = stages(network)
    if count > len(parts):
        raise UsageError(
            f"--tune last:{count}: the network has {len(parts)} stages",
            hint="fewer, or --tune all",
        )
    return tuple(part for _, part in parts[-count:])


def set_training(network: nn.Module, learning: tuple[nn.Module, ...], *, norms: bool) -> None:
    """Training mode for what learns; without `norms`, batch norms keep the statistics they have."""
    network.eval()
    for part in learning:
        part.train()
    if norms:
        return
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


class HeadAlone(nn.Module):
    """The last layer as a network of its own: features (N, channels) to logits (N, classes)."""

    def __init__(self, last: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.last = last

    def forward(self, features: Tensor) -> Tensor:
        """Logits of a batch of features."""
        if isinstance(self.last, nn.Conv2d):
            features = features[:, :, None, None]
        return torch.flatten(self.last(features), 1)


class Features:
    """A network up to its last layer, which must give the classes by itself.

    Raises UsageError for a network whose last layer is not its end (a map that is averaged later).
    """

    def __init__(self, name: str, network: nn.Module, image_shape: tuple[int, ...]) -> None:
        self._network = network.eval()
        self._last = head(network)[1]
        seen: list[Any] = []
        hook = self._last.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
        with torch.inference_mode():
            logits = network(torch.zeros(image_shape))
        hook.remove()
        given, out = seen[0]
        if given[0].numel() != given.shape[1] or not torch.equal(out.flatten(1), logits):
            raise UsageError(
                f"{name}: its last layer is not its end, so it cannot learn alone",
                hint="--tune last:1 trains it in its place",
            )

    def __call__(self, images: Tensor) -> Tensor:
        """What the last layer is given for a batch of images, (N, channels)."""
        seen: list[Tensor] = []
        hook = self._last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            with torch.inference_mode():
                self._network(images)
        finally:
            hook.remove()
        return torch.flatten(seen[0], 1)
