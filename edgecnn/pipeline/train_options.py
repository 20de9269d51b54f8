"""What a training is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how fast to learn, as said by hand; None is the way's own (see `Schedule`)."""

    epochs: int | None = None
    learning_rate: float | None = None
    batch: int | None = None
    optimizer: Literal["adamw", "sgd"] | None = None
    weight_decay: float | None = None
    label_smoothing: float | None = None
    ema: float | None = None
    patience: int | None = None
    balance: bool | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Only what was said."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What to learn from and how.

    `tune` is `head`, `last:N` or `all`, `weights` as in an export; `augment` names a set of random
    changes, None chooses one. `build` holds arguments of the network's builder and `size` is that
    of whole images: both are for networks that start from random weights. `seconds` is how long a
    network listens to sounds.
    """

    data: Path
    classes: tuple[str, ...] = ()
    tune: str = "head"
    weights: str | None = None
    held_out: float = 0.2
    augment: str | None = None
    pace: Pace = field(default_factory=Pace)
    build: Mapping[str, int | float | bool] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    seconds: float | None = None
    seed: int = 0
    threads: int | None = None
