"""A supervised training loop: seeded, one learning-rate cycle, the same result every time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.errors import UsageError
from edgecnn.training.augment import Jitter
from edgecnn.training.layout import arrange, channels_last
from edgecnn.training.schedule import Counter, Progress, is_seed


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a network is trained; `learning_rate` is the peak of the cycle."""

    epochs: int
    batch: int = 64
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    jitter: Jitter = field(default_factory=Jitter)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not is_seed(self.seed):
            raise UsageError(
                f"epochs {self.epochs}, batch {self.batch}, seed {self.seed} cannot be",
                hint="at least 1 epoch, 2 images a batch, and a seed of 32 bits",
            )
        if not (self.learning_rate > 0 and self.weight_decay >= 0 <= self.label_smoothing < 1):
            raise UsageError(
                f"learning_rate {self.learning_rate}, weight_decay {self.weight_decay}, "
                f"label_smoothing {self.label_smoothing} cannot be",
                hint="the rate is above 0, the others are 0 or more, smoothing is below 1",
            )


@dataclass(frozen=True, slots=True)
class Examples:
    """Preprocessed `images` (N, C, H, W) float32, `labels` (N,) int64, `background` (C,)."""

    images: Tensor
    labels: Tensor
    background: Tensor


def fit(
    network: nn.Module,
    examples: Examples,
    options: FitOptions,
    *,
    progress: Counter | None = None,
    memory: Progress | None = None,
) -> None:
    """Train `network` in place and leave it in eval mode; torch's own generator is left alone.

    One cycle of the learning rate over all steps (Smith & Topin 2018, "Super-convergence").
    `progress` is told the epochs done and their total; `memory` keeps the state after each, from
    which a killed training goes on. On one machine the result is always the same to the bit. Raises
    UsageError where a batch is larger than the set.
    """
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = _optimizer(network, options)
    steps = len(examples.labels) // options.batch
    if steps == 0:
        raise UsageError(
            f"{len(examples.labels)} images do not fill a batch of {options.batch}",
            hint="lower the batch size",
        )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.epochs * steps
    )
    network.train()
    arrange(network, torch.channels_last)
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)  # dropout draws from it
        learnt = {"network": network, "optimizer": optimizer, "schedule": schedule}
        for epoch in range(_recalled(memory, learnt, generator), options.epochs):
            order = torch.randperm(len(examples.labels), generator=generator)
            for chosen in order[: steps * options.batch].view(steps, options.batch):
                optimizer.zero_grad()
                torch.autograd.backward(_loss(network, examples, chosen, options, generator))
                optimizer.step()
                schedule.step()
            if memory:
                memory.save(_state(learnt, generator, epoch + 1))
            if progress:
                progress(epoch + 1, options.epochs)
    network.eval()
    arrange(network, torch.contiguous_format)


def _state(learnt: Mapping[str, Any], generator: torch.Generator, done: int) -> dict[str, Any]:
    """All that the epochs after `done` need."""
    states = {name: part.state_dict() for name, part in learnt.items()}
    return {**states, "drawn": (generator.get_state(), torch.get_rng_state()), "done": done}


def _recalled(
    memory: Progress | None, learnt: Mapping[str, Any], generator: torch.Generator
) -> int:
    """How many epochs were done before, their state restored."""
    state = memory.recall() if memory else None
    if state is None:
        return 0
    for name, part in learnt.items():
        part.load_state_dict(state[name])
    generator.set_state(state["drawn"][0])
    torch.set_rng_state(state["drawn"][1])
    return int(state["done"])


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums come out the same on any number of cores, and networks this small gain from no more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def accuracy(network: nn.Module, examples: Examples, *, batch: int = 256) -> float:
    """The share of examples (0 to 1) whose best class is the right one; sets eval mode."""
    network.eval()
    with torch.inference_mode():
        parts = torch.split(examples.images, batch)
        answers = [network(images).argmax(dim=1) for images in parts]
    return float((torch.cat(answers) == examples.labels).double().mean())


def _loss(
    network: nn.Module,
    examples: Examples,
    chosen: Tensor,
    options: FitOptions,
    generator: torch.Generator,
) -> Tensor:
    images = options.jitter(
        examples.images[chosen], background=examples.background, generator=generator
    )
    return functional.cross_entropy(
        network(channels_last(images)),
        examples.labels[chosen],
        label_smoothing=options.label_smoothing,
    )


def _optimizer(network: nn.Module, options: FitOptions) -> torch.optim.Optimizer:
    """Weight decay is for weights: biases and batch norms are left out of it."""
    weights = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, options.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, options.learning_rate)
