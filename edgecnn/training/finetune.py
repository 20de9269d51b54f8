"""Quantization-aware fine-tuning: the integers of a quantized graph learn to answer as float does.

What is learnt from are the float network's answers, not labels (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531): photos need none, and classes without a photo are not forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from torch import Tensor

from edgecnn.training.graph_net import GraphNet

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_IMAGES = 512  # that are held in memory

_LEAST_POWER = 1e-12


@dataclass(frozen=True, slots=True)
class Tuning:
    """How integers are trained; `largest_weight` is the target's.

    `rate` is the peak in units of a weight's quantization step. With `mirror`, half of the batches
    are mirrored, which takes images (N, channels, H, W).
    """

    largest_weight: int = 127
    epochs: int = 8
    rate: float = 0.003
    batch: int = 16
    mirror: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Finetuned:
    """The best graph, after which epoch (0: as it came), and how much it gained in dB."""

    model: ModelProto
    epoch: int
    gained_db: float


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
    teacher, student = GraphNet(source), GraphNet(quantized, largest_weight=tuning.largest_weight)
    optimizer = torch.optim.Adam(student.parameters(), tuning.rate)
    best = Finetuned(quantized, 0, 0.0)
    start_db = judge(quantized)
    for epoch in range(tuning.epochs):
        for batch in _batches(given, tuning, epoch, optimizer):
            _step(teacher, student, batch, optimizer)
        candidate = student.written()
        gained_db = judge(candidate) - start_db
        if gained_db > best.gained_db:
            best = Finetuned(candidate, epoch + 1, gained_db)
        if progress:
            progress(epoch + 1, tuning.epochs)
    return best


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


def _step(
    teacher: GraphNet, student: GraphNet, images: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    with torch.no_grad():
        wanted = teacher(images)
    optimizer.zero_grad()
    torch.autograd.backward(_error(wanted, student(images)))
    optimizer.step()


def _error(wanted: Tensor, answered: Tensor) -> Tensor:
    """The power of the error over that of the answer, both centred: what SQNR is made of."""
    wanted, answered = (_centred(values) for values in (wanted, answered))
    noise = (answered - wanted).square().sum(dim=1)
    return (noise / wanted.square().sum(dim=1).clamp_min(_LEAST_POWER)).mean()


def _centred(logits: Tensor) -> Tensor:
    rows = logits.flatten(1)
    return rows - rows.mean(dim=1, keepdim=True)
