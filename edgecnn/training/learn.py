"""The loop that photos are learnt in: seeded, resumable after any epoch, the best state kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import PCG64, Generator, SeedSequence
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.errors import DataError
from edgecnn.training.layout import arrange, channels_last
from edgecnn.training.schedule import Counter, Progress, Schedule
from edgecnn.zoo.blocks import head

_WARM_UP = 0.05  # of all steps
_MIXUP_STREAM = 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to; accuracies are 0..1, those of watched photos None without any."""

    number: int
    loss: float
    accuracy: float
    watched_loss: float | None
    watched_accuracy: float | None
    seconds: float


class Lessons(Protocol):
    """What is learnt from, in batches of inputs (N, ...) and labels (N,) int64."""

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, which follow from the seed and the epoch alone."""

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""

    def watched(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches that only say how far it is; none where there are too few photos."""


class Learner:
    """A network on its way: the weights, their running mean, the optimizer, the best so far."""

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        *,
        mode: Callable[[], object],
        class_weights: Tensor | None = None,
    ) -> None:
        """`mode` puts the network into training mode; `class_weights` (classes,) weigh the loss."""
        arrange(network, torch.channels_last)
        self._network = network
        self._schedule = schedule
        self._mode = mode
        self._weights = class_weights
        self._device = next(network.parameters()).device
        self._optimizer = _optimizer(network, schedule)
        self._mean = {k: v.clone() for k, v in _floats(network).items()} if schedule.ema else None
        self._history: list[Epoch] = []
        self._best: tuple[float, float] | None = None
        self._best_state = _copied(network.state_dict())
        self._stale = 0

    def learn(
        self,
        lessons: Lessons,
        *,
        progress: Progress | None = None,
        heard: Callable[[Epoch], None] | None = None,
        counted: Counter | None = None,
    ) -> tuple[Epoch, ...]:
        """Train to the end and leave the best state in the network, in eval mode.

        On one machine the result is the same to the bit, also after a kill in between. `heard` is
        told each epoch, `counted` how many steps are done of all; `progress` keeps the state.
        Raises DataError as soon as weights are no numbers any more.
        """
        if progress and (state := progress.recall()):
            self._restore(state)
        with torch.random.fork_rng(devices=[]):
            for number in range(len(self._history), self._schedule.epochs):
                if self._is_over:
                    break
                torch.manual_seed(self._schedule.seed * 100_003 + number)  # dropout draws from it
                self._history.append(self._epoch(lessons, number, counted))
                if progress:
                    progress.save(self._state())
                if heard:
                    heard(self._history[-1])
        self._network.load_state_dict(self._best_state)
        self._network.eval()
        arrange(self._network, torch.contiguous_format)
        return tuple(self._history)

    @property
    def done(self) -> int:
        """How many epochs are done, those of a killed run among them."""
        return len(self._history)

    @property
    def _is_over(self) -> bool:
        return 0 < self._schedule.patience <= self._stale

    def _epoch(self, lessons: Lessons, number: int, counted: Counter | None) -> Epoch:
        started_s = time.perf_counter()
        random = Generator(PCG64(SeedSequence((self._schedule.seed, _MIXUP_STREAM, number))))
        self._mode()
        loss_sum, right, seen = 0.0, 0, 0
        for index, (inputs, labels) in enumerate(lessons.train(number)):
            step = number * lessons.steps + index
            loss, hits = self._step(inputs, labels, step, lessons.steps, random)
            loss_sum, right, seen = loss_sum + loss * len(labels), right + hits, seen + len(labels)
            if counted:
                counted(step + 1, lessons.steps * self._schedule.epochs)
        state = self._averaged()
        self._check_weights(state, number + 1)
        loss_watched, accuracy_watched = self._watch(lessons, state)
        epoch = Epoch(
            number=number + 1,
            loss=loss_sum / seen,
            accuracy=right / seen,
            watched_loss=loss_watched,
            watched_accuracy=accuracy_watched,
            seconds=0.0,
        )
        self._keep_best(epoch, state)
        return replace(epoch, seconds=time.perf_counter() - started_s)

    def _step(
        self, inputs: Tensor, labels: Tensor, step: int, steps: int, random: Generator
    ) -> tuple[float, int]:
        """One batch: its loss and how many of it were right."""
        inputs, labels = channels_last(inputs).to(self._device), labels.to(self._device)
        for group in self._optimizer.param_groups:
            group["lr"] = group["times"] * self._rate(step, steps * self._schedule.epochs)
        others, share = labels, 1.0
        if self._schedule.mixup:
            share = float(random.beta(self._schedule.mixup, self._schedule.mixup))
            order = torch.from_numpy(random.permutation(len(labels))).to(self._device)
            inputs, others = share * inputs + (1 - share) * inputs[order], labels[order]
        self._optimizer.zero_grad()
        # bfloat16 has float32's range, so that gradients need no scaling.
        on_gpu = self._device.type == "cuda"
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=on_gpu):
            logits = self._network(inputs)
        logits = logits.float()
        loss = share * self._loss(logits, labels) + (1 - share) * self._loss(logits, others)
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._follow(step)
        return float(loss.detach()), int((logits.argmax(dim=1) == labels).sum())

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits, labels, self._weights, label_smoothing=self._schedule.label_smoothing
        )

    def _rate(self, step: int, total: int) -> float:
        """Up in a line, then down in half a cosine (Loshchilov & Hutter 2017, SGDR)."""
        warm = max(1, round(_WARM_UP * total))
        if step < warm:
            return self._schedule.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1, total - warm)
        return self._schedule.learning_rate * (1 + math.cos(math.pi * share)) / 2

    def _follow(self, step: int) -> None:
        """Move the running mean; its memory is short while the weights still change fast."""
        if self._mean is None:
            return
        keep = min(self._schedule.ema, (1 + step) / (10 + step))
        for name, value in _floats(self._network).items():
            self._mean[name].lerp_(value, 1 - keep)

    def _averaged(self) -> dict[str, Tensor]:
        """What would be shipped now."""
        return _copied({**self._network.state_dict(), **(self._mean or {})})

    def _check_weights(self, state: dict[str, Tensor], number: int) -> None:
        if not all(bool(torch.isfinite(value).all()) for value in state.values()):
            raise DataError(
                f"the weights are no numbers any more after epoch {number}",
                hint=f"a lower rate than --lr {self._schedule.learning_rate:g}",
            )

    def _watch(
        self, lessons: Lessons, state: dict[str, Tensor]
    ) -> tuple[float, float] | tuple[None, None]:
        """Loss and accuracy on the watched photos of what would be shipped."""
        current = _copied(self._network.state_dict())
        self._network.load_state_dict(state)
        self._network.eval()
        loss, right, seen = 0.0, 0, 0
        with torch.inference_mode():
            for inputs, labels in lessons.watched():
                logits = self._network(channels_last(inputs).to(self._device)).cpu()
                loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
                right += int((logits.argmax(dim=1) == labels).sum())
                seen += len(labels)
        self._network.load_state_dict(current)
        return (loss / seen, right / seen) if seen else (None, None)

    def _keep_best(self, epoch: Epoch, state: dict[str, Tensor]) -> None:
        """More watched photos right, or as many and surer; without any the last is the best."""
        score = None
        if epoch.watched_accuracy is not None and epoch.watched_loss is not None:
            score = (epoch.watched_accuracy, -epoch.watched_loss)
        if score is None or self._best is None or score > self._best:
            self._best, self._best_state, self._stale = score, state, 0
        else:
            self._stale += 1

    def _state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "mean": self._mean,
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self._history],
            "best": self._best,
            "best_state": self._best_state,
            "stale": self._stale,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        self._mean = state["mean"]
        self._optimizer.load_state_dict(state["optimizer"])
        self._history = [Epoch(**values) for values in state["history"]]
        self._best, self._best_state = state["best"], state["best_state"]
        self._stale = state["stale"]


def class_weights(counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
    """What each class weighs in the loss, (classes,): as if all had as many photos."""
    return torch.tensor(counts.sum() / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32)


def _optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Weight decay is for weights: biases and batch norms are left out of it."""
    last = {id(value) for value in head(network)[1].parameters()}
    groups = [
        {
            "params": [
                value
                for value in network.parameters()
                if value.requires_grad
                and (id(value) in last) == is_head
                and (value.ndim > 1) == decays
            ],
            "weight_decay": schedule.weight_decay if decays else 0.0,
            "times": schedule.head_rate if is_head else 1.0,
        }
        for is_head in (False, True)
        for decays in (True, False)
    ]
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, schedule.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, schedule.learning_rate)


def _floats(network: nn.Module) -> dict[str, Tensor]:
    values = network.state_dict().items()
    return {name: value for name, value in values if value.is_floating_point()}


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
