"""How long and how fast a network learns, and where it keeps what it has reached."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from edgecnn.errors import FileError, UsageError
from edgecnn.files import atomic_path

Optimizer = Literal["adamw", "sgd"]
Counter = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn; `learning_rate` is the peak, from which a cosine falls to 0.

    `ema` is what a step leaves of the running mean of the weights (0: no mean); `patience` is after
    how many epochs without a better one it ends (0: never); `balance` weighs rare classes up;
    `head_rate` times the rate is that of the last layer, which begins anew behind pretrained ones.
    """

    epochs: int
    learning_rate: float
    batch: int = 32
    optimizer: Optimizer = "adamw"
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    ema: float = 0.0
    patience: int = 0
    mixup: float = 0.0
    head_rate: float = 1.0
    balance: bool = True
    norms: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or self.patience < 0 or not is_seed(self.seed):
            raise UsageError(
                f"epochs {self.epochs}, batch {self.batch}, patience {self.patience}, seed "
                f"{self.seed} cannot be",
                hint="at least 1 epoch and 2 images a batch; patience from 0, a seed of 32 bits",
            )
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise UsageError(
                f"learning rate {self.learning_rate}, weight decay {self.weight_decay} cannot be",
                hint="the rate is above 0, the decay 0 or more",
            )
        if not (0 <= self.label_smoothing < 1 and 0 <= self.ema < 1):
            raise UsageError(
                f"label smoothing {self.label_smoothing}, ema {self.ema} cannot be",
                hint="both are 0 or more and below 1",
            )


def is_seed(seed: int) -> bool:
    """Whether generators take it, also where the number of an epoch is mixed in."""
    return 0 <= seed < 2**32


class Progress:
    """Where the state of a training is kept after each epoch, so that a killed one goes on.

    A file that cannot be written costs time after a kill, nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, state: dict[str, Any]) -> None:
        """Put the state in the place of the one before."""
        # Of a full disk, torch.save says no more than RuntimeError.
        with contextlib.suppress(OSError, FileError, RuntimeError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._path) as temporary:
                torch.save(state, temporary)

    def recall(self) -> dict[str, Any] | None:
        """The state of an earlier run, None where there is none that can be read."""
        try:
            found: dict[str, Any] = torch.load(self._path, weights_only=True)
        except Exception:  # whatever a damaged file makes of the reader
            return None
        return found

    def forget(self) -> None:
        """Remove the file: all is done."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
