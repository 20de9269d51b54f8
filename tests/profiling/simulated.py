"""Latencies of engines whose truth is known: what the statistics are tried on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Blocks = NDArray[np.float64]  # (blocks, runs), ns
Engine = Callable[[np.random.Generator, int, int], Blocks]

NS = 1_000_000.0


def lognormal(random: np.random.Generator, blocks: int, runs: int) -> Blocks:
    """Independent runs with a moderate right tail."""
    return NS * random.lognormal(0, 0.1, (blocks, runs))


def heavy_tail(random: np.random.Generator, blocks: int, runs: int) -> Blocks:
    """Three runs in a hundred are interrupted, some of them for very long."""
    late = np.where(random.random((blocks, runs)) < 0.03, 1 + random.pareto(1.5, (blocks, runs)), 1)
    return NS * random.lognormal(0, 0.05, (blocks, runs)) * late


def bimodal(random: np.random.Generator, blocks: int, runs: int) -> Blocks:
    """Two clocks."""
    slow = random.random((blocks, runs)) < 0.4
    return NS * random.normal(np.where(slow, 1.3, 1.0), 0.05)


def by_block(random: np.random.Generator, blocks: int, runs: int) -> Blocks:
    """Each block has a level of its own: neighbours, temperature."""
    level = random.normal(0, 0.03, (blocks, 1))
    return NS * np.exp(level + random.normal(0, 0.05, (blocks, runs)))


def autocorrelated(random: np.random.Generator, blocks: int, runs: int) -> Blocks:
    """Each run resembles the one before (0.8), also from block to block."""
    noise = random.normal(0, math.sqrt(1 - 0.8**2), blocks * runs)
    level = np.empty(blocks * runs)
    level[0] = random.normal()
    for index in range(1, level.size):
        level[index] = 0.8 * level[index - 1] + noise[index]
    return NS * np.exp(0.1 * level).reshape(blocks, runs)


def drift(random: np.random.Generator, blocks: int, runs: int) -> Blocks:
    """Each run is a little slower than the one before: 5 % from the first to the last."""
    heat = np.linspace(0, 0.05, blocks * runs).reshape(blocks, runs)
    return NS * np.exp(heat + random.normal(0, 0.05, (blocks, runs)))


_ALL = (lognormal, heavy_tail, bimodal, by_block, autocorrelated, drift)
ENGINES: dict[str, Engine] = {engine.__name__: engine for engine in _ALL}


def truth(engine: Engine, p: float) -> float:
    """The quantile of very many runs."""
    random = np.random.default_rng(0)
    return float(np.quantile([engine(random, 12, 40) for _ in range(1500)], p))
