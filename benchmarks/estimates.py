"""Estimates against published latencies: factors from one half, their error on the other.

    python -m benchmarks.estimates            how far off the estimates are on what they never saw
    python -m benchmarks.estimates --fit      the factors anew, to be put into devices/estimate.py

Which half a figure belongs to is decided by the sha256 of its row's key: odd ones are held out.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from edgecnn.devices.boards import Precision, Unit, find_board
from edgecnn.devices.estimate import FACTORS, Engine, Factors, Kind, Work, layer_s
from edgecnn.zoo.catalog import find
from edgecnn.zoo.layers import Layer, layer_table

TABLE = Path(__file__).with_name("published_latencies.tsv")

_TRIES = 1500
_START = Factors(dense=0.5, pointwise=0.4, depthwise=0.1, memory=0.6, layer_s=5e-6, spread=1)
_PULL = 0.02  # towards the start, for factors on which few figures bear


@dataclass(frozen=True, slots=True)
class Figure:
    """A published latency: of a network of the zoo, at an input of side x side."""

    board: str
    engine: Engine
    precision: Precision
    model: str
    side: int
    latency_ms: float
    source: str

    @property
    def is_held_out(self) -> bool:
        """Whether no factor may be fitted on it."""
        key = f"{self.board} {self.engine} {self.precision} {self.model} {self.side}"
        return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 2 == 1

    @property
    def unit(self) -> Unit:
        """What multiplies."""
        return find_board(self.board).units[self.precision]


def figures() -> tuple[Figure, ...]:
    """The table."""
    with TABLE.open(encoding="utf-8") as stream:
        return tuple(
            Figure(
                board=row["board"],
                engine=cast(Engine, row["engine"]),
                precision=cast(Precision, row["precision"]),
                model=row["model"],
                side=int(row["side"]),
                latency_ms=float(row["latency_ms"]),
                source=row["source"],
            )
            for row in csv.DictReader(stream, delimiter="\t")
        )


def log_error(figure: Figure, factors: Mapping[Unit, Factors] = FACTORS) -> float:
    """The logarithm of estimate over truth."""
    return math.log(_estimated_ms(figure, factors) / figure.latency_ms)


def is_covered(figure: Figure) -> bool:
    """Whether the printed range holds the truth."""
    return abs(log_error(figure)) <= math.log(FACTORS[figure.unit].spread)


def _estimated_ms(figure: Figure, factors: Mapping[Unit, Factors]) -> float:
    board, works = find_board(figure.board), works_of(figure.model, figure.side)
    return 1e3 * sum(layer_s(board, factors[figure.unit], work, figure.precision) for work in works)


@functools.cache
def works_of(model: str, side: int) -> tuple[Work, ...]:
    """The layers of a network of the zoo, norms folded."""
    with torch.device("meta"):
        network = find(model).build()
    table = layer_table(network.to_empty(device="cpu"), (1, 3, side, side))
    return tuple(
        Work(
            kind=_kind(layer),
            macs=layer.macs,
            values=math.prod(layer.input_shape) + math.prod(layer.output_shape) + layer.parameters,
        )
        for layer in table.layers
        if not layer.folded
    )


def _kind(layer: Layer) -> Kind:
    if layer.kind == "linear":
        return "linear"
    if layer.kind not in ("convolution", "transposed"):
        return "other"
    if 1 < layer.groups == layer.input_shape[0]:
        return "depthwise"
    return "pointwise" if layer.kernel == (1, 1) else "dense"


def fit(rows: Sequence[Figure], unit: Unit) -> Factors:
    """The factors of a unit by random search; the spread is twice the residual standard error."""
    names = ["dense", "pointwise", "memory", "layer_s"]
    if any(work.kind == "depthwise" for row in rows for work in works_of(row.model, row.side)):
        names.append("depthwise")
    start = dataclasses.replace(_START, layer_s=20e-6 if "arm" in unit else 5e-6)
    first = np.log([getattr(start, name) for name in names])

    def made(values: np.ndarray) -> Factors:
        return dataclasses.replace(start, **dict(zip(names, np.exp(values), strict=True)))

    def loss(values: np.ndarray) -> float:
        factors = {unit: made(values)}
        errors = [abs(log_error(row, factors)) ** 1.5 for row in rows]
        return float(np.mean(errors) + _PULL * np.mean((values - first) ** 2))

    best = _search(loss, first, most={names.index("memory"): 0.0})
    found = dataclasses.replace(
        start,
        **{name: float(f"{value:.2g}") for name, value in zip(names, np.exp(best), strict=True)},
    )
    errors = [log_error(row, {unit: found}) for row in rows]
    freedom = max(1, len(rows) - len(names))
    spread = math.exp(2 * math.sqrt(sum(error**2 for error in errors) / freedom))
    return dataclasses.replace(found, spread=spread)


def _search(
    loss: Callable[[np.ndarray], float], first: np.ndarray, *, most: Mapping[int, float]
) -> np.ndarray:
    random, best, least, step = np.random.default_rng(0), first, loss(first), 0.5
    for _ in range(_TRIES):
        tried = best + random.normal(0, step, len(first)) * (random.random(len(first)) < 0.5)
        for index, limit in most.items():
            tried[index] = min(tried[index], limit)
        if (value := loss(tried)) < least:
            best, least = tried, value
        step = max(0.02, step * 0.998)
    return best


def main(arguments: Sequence[str]) -> None:
    """Print the error on the figures held out, or factors fitted on the others."""
    rows = figures()
    seen = [row for row in rows if not row.is_held_out]
    unseen = [row for row in rows if row.is_held_out]
    if "--fit" in arguments:
        for unit in FACTORS:
            print(unit, fit([row for row in seen if row.unit == unit], unit))
        return
    for row in sorted(unseen, key=lambda row: (row.board, row.precision, row.model)):
        ratio, mark = math.exp(log_error(row)), "" if is_covered(row) else "  outside its range"
        print(f"{row.board:<18} {row.precision:<5} {row.model:<18} {row.side:>4}"
              f" {row.latency_ms:>8} ms  x {ratio:.2f}{mark}")  # fmt: skip
    errors = np.abs([log_error(row) for row in unseen])
    covered = sum(map(is_covered, unseen))
    median, worst = np.median(np.expm1(errors)), math.exp(errors.max())
    print(f"\n{len(unseen)} held out of {len(rows)}: median error {median:.0%}, at most"
          f" x {worst:.2f}, {covered} inside their range")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
