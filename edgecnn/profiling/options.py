"""How to measure, and who hears how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgecnn.contract import Contract
from edgecnn.profiling.plan import Plan
from edgecnn.runtime.worker import Boundary

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to measure.

    `threads` None is all cores, `batch` None the file's own. `boundary` is what one run is:
    `engine` with its input ready, `frame` from uint8 pixels to the result, `throughput` one of
    `streams` runs at a time. Blocks are added until every median is known to `precision`
    (relative), for `time_limit_s` at most. With `layers` each file's layers are timed after that
    by its engine's own profiler. `contracts` stand in for files that carry none.
    """

    engine: str = "onnxruntime"
    threads: int | None = None
    batch: int | None = None
    boundary: Boundary = "engine"
    layers: bool = False
    streams: int | None = None
    precision: float = 0.02
    time_limit_s: float = 60.0
    seed: int = 0
    contracts: Mapping[Path, Contract] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What is about to be done with a file, after `done` of `total` such steps."""

    doing: Literal["load", "measure", "layers"]
    file: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears how far it is.

    `step` before each file is loaded, measured for a while, or looked into; `planned` the plan
    once all files are loaded and warm; `progress` (blocks done, blocks expected); `resumed` how
    many blocks an earlier run has measured; `interrupted` (done, expected) where Ctrl-C ends the
    measuring: without it, Ctrl-C is raised.
    """

    step: Callable[[Step], None] | None = None
    planned: Callable[[Plan], None] | None = None
    progress: Progress | None = None
    resumed: Callable[[int], None] | None = None
    interrupted: Progress | None = None
