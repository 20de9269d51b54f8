"""Quantization-aware fine-tuning: the integers of a quantized graph learn to answer as float does.

What is learnt from are the float network's answers, not labels (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531): photos need none, and classes without a photo are not forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from torch import Tensor

from edgecnn.training.graph_net import GraphNet
from edgecnn.training.schedule import Progress

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_IMAGES = 512  # that are held in memory

_LEAST_POWER = 1e-12


@dataclass(frozen=True, slots=True)
class Tuning:
    """How integers are trained; `largest_weight` is the target's.

    `rate` is the peak in units of a weight's quantization step. With `mirror`, half of the batches
    are mirrored, which takes images (N, channels, H, W). The file `unfinished` keeps the state
    after each epoch; a killed run goes on from there, to the same integers.
    """

    largest_weight: int = 127
    epochs: int = 8
    rate: float = 0.003
    batch: int = 16
    mirror: bool = True
    seed: int = 0
    unfinished: Path | None = None


@dataclass(frozen=True, slots=True)
class Finetuned:
    """The best graph, after which epoch (0: as it came), and how much it gained in dB."""

    model: ModelProto
    epoch: int
    gained_db: float


class _Student:
    """Integers on their way, and the best that they have been after a whole epoch."""

    def __init__(self, quantized: ModelProto, tuning: Tuning) -> None:
        self.net = GraphNet(quantized, largest_weight=tuning.largest_weight)
        self.optimizer = torch.optim.Adam(self.net.parameters(), tuning.rate)
        self.best = Finetuned(quantized, 0, 0.0)
        self.done = 0
        self._best_state = self.net.state_dict()

    def keep(self, candidate: ModelProto, gained_db: float) -> None:
        """One more epoch is done, and this is what came of it."""
        self.done += 1
        if gained_db > self.best.gained_db:
            self.best = Finetuned(candidate, self.done, gained_db)
            self._best_state = {k: v.clone() for k, v in self.net.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that the next epoch and the end need."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "best": (self._best_state, self.best.epoch, self.best.gained_db),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be where a state was taken."""
        self._best_state, epoch, gained_db = state["best"]
        if epoch:
            self.net.load_state_dict(self._best_state)
            self.best = Finetuned(self.net.written(), epoch, gained_db)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]


def finetune(
    source: ModelProto,
    quantized: ModelProto,
    images: Iterable[NDArray[np.float32]],
    judge: Callable[[ModelProto], float],
    *,
    tuning: Tuning | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Finetuned:
    """Train the integers of a quantized graph against its float `source`.

    `images` are preprocessed, (N, ...); `judge` gives the SQNR in dB of a graph on images kept
    aside, and an epoch that does not raise it is not kept. Scales and zero points stay. Raises
    GraphError for a graph with operators that cannot be trained through.
    """
    tuning = tuning or Tuning()
    given = torch.cat([torch.from_numpy(image) for image in islice(images, MAX_IMAGES)])
    teacher, student = GraphNet(source), _Student(quantized, tuning)
    memory = Progress(tuning.unfinished) if tuning.unfinished else None
    if memory and (state := memory.recall()):
        student.restore(state)
    start_db = judge(quantized)
    while student.done < tuning.epochs:
        for batch in _batches(given, tuning, student.done, student.optimizer):
            _step(teacher, student, batch)
        candidate = student.net.written()
        student.keep(candidate, judge(candidate) - start_db)
        if memory:
            memory.save(student.state())
        if progress:
            progress(student.done, tuning.epochs)
    return student.best


def _batches(
    images: Tensor, tuning: Tuning, epoch: int, optimizer: torch.optim.Optimizer
) -> Iterator[Tensor]:
    """All images once, some mirrored, while the rate falls in half a cosine over all epochs."""
    random = Generator(PCG64(SeedSequence((tuning.seed, epoch))))
    batches = torch.split(torch.from_numpy(random.permutation(len(images))), tuning.batch)
    for index, chosen in enumerate(batches):
        share = (epoch + index / len(batches)) / tuning.epochs
        for group in optimizer.param_groups:
            group["lr"] = tuning.rate * (1 + math.cos(math.pi * share)) / 2
        mirrored = tuning.mirror and random.random() < 0.5
        yield images[chosen].flip(-1) if mirrored else images[chosen]


def _step(teacher: GraphNet, student: _Student, images: Tensor) -> None:
    with torch.no_grad():
        wanted = teacher(images)
    student.optimizer.zero_grad()
    torch.autograd.backward(_error(wanted, student.net(images)))
    student.optimizer.step()


def _error(wanted: Tensor, answered: Tensor) -> Tensor:
    """The power of the error over that of the answer, both centred: what SQNR is made of."""
    wanted, answered = (_centred(values) for values in (wanted, answered))
    noise = (answered - wanted).square().sum(dim=1)
    return (noise / wanted.square().sum(dim=1).clamp_min(_LEAST_POWER)).mean()


def _centred(logits: Tensor) -> Tensor:
    rows = logits.flatten(1)
    return rows - rows.mean(dim=1, keepdim=True)
