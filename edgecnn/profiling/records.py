"""What is kept of a profile and an evaluation. No mean, no verdict: those live in the readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.profiling.layers import TimedLayers
from edgecnn.runtime.engines.base import precision

State = Literal["stable", "drifting", "throttled", "emulated"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A share of `n` images as 0..1, with the interval that holds the truth at 95 %."""

    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Paired:
    """One file against another on the same `n` images; `drop` is what top-1 loses, as -1..1."""

    against: str
    n: int
    right_to_wrong: int
    wrong_to_right: int
    mcnemar_p: float
    agreement: float
    drop: Accuracy


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The accuracy of a shipped file on a device; top-5 is None for five classes or fewer."""

    file: str
    engine: str
    precision: str
    n: int
    top1: Accuracy
    top5: Accuracy | None
    paired: Paired | None = None
    device: str = "local"


@dataclass(frozen=True, slots=True)
class Around:
    """What was counted around one block of runs, and how the device fared after it.

    `started_s` counts from the session's first block, after `rested_s` of letting a hot device
    cool down. `waited_ns` is how long the threads waited for a CPU that others had; `energy_j`
    what the device spent; each None where nothing counts it. `state` is `runtime.device_state`'s.
    """

    started_s: float
    wall_ns: int
    waited_ns: int | None = None
    energy_j: float | None = None
    rested_s: float = 0.0
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The latencies of one file in ns, in run order.

    `block_runs` says how many of them each block holds: blocks of different files were visited in
    random order, and all files in every block of one `session`. `warmup` counts untimed runs
    before the first block, `facts` are the engine's. `cpu_share` is CPU time over wall time and
    threads: well below 1, others took the CPU, or the engine could not use its threads. `around`
    has one item a block, or none; `throttle_before` is what `throttle_counts` began with. With the
    boundary `throughput`, `streams` runs are always under
    way, each with `threads`.
    """

    latencies_ns: tuple[int, ...]
    block_runs: tuple[int, ...]
    warmup: int
    batch: int
    threads: int
    boundary: str
    engine: str
    facts: Mapping[str, str]
    cpu_share: float
    model_sha256: str
    streams: int = 1
    session: str = ""
    around: tuple[Around, ...] = ()
    throttle_before: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_throughput(self) -> bool:
        """Whether images a second are what was asked for."""
        return self.boundary == "throughput"

    @property
    def image_ns(self) -> tuple[NDArray[np.float64], ...]:
        """By block what one image takes while all streams are busy, ns: one value each."""
        pairs = zip(self.around, self.block_runs, strict=True)
        return tuple(np.array([block.wall_ns / (runs * self.batch)]) for block, runs in pairs)

    @property
    def blocks(self) -> tuple[NDArray[np.int64], ...]:
        """The latencies by block, ns."""
        ends = np.cumsum(self.block_runs)[:-1]
        return tuple(np.split(np.array(self.latencies_ns, dtype=np.int64), ends))


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything measured of one file on one device.

    `state` is the mark and `why` what it is for. `energy` is `{"sources": [...], "idle_w": ...}`,
    or `{"unavailable": reason}` where there is no sensor. `rss_before_load_bytes` is what
    interpreter and libraries held before the file was loaded. `parameters` and `macs` (of one
    image) are None where they are not known; `layers` is None where nobody asked for them. `origin`
    tells a file from the same one in another report.
    """

    file: str
    contract: Contract
    measurement: Measurement
    state: State
    size_bytes: int
    load_ms: float
    first_run_ms: float
    rss_before_load_bytes: int
    peak_rss_bytes: int
    energy: Mapping[str, Any]
    accuracy: Evaluation | None = None
    why: str = ""
    parameters: int | None = None
    macs: int | None = None
    origin: str = ""
    layers: TimedLayers | None = None

    @property
    def precision(self) -> str:
        """`fp32`, `int8`, ...: what the contract says and the engine really computed in."""
        stated = self.contract.provenance.get("precision", "fp32")
        return precision(stated, self.measurement.facts)


@dataclass(frozen=True, slots=True)
class Report:
    """Profiles of one device, in the order in which the files were given.

    `device_after` is the device once more when all was measured. `mixed` says in sentences how
    the reports differ that this one was put together from. `blocks_missing` were planned but not
    measured, since somebody interrupted it. Medians were to be known to `precision_asked`, a share;
    None where nobody noted that.
    """

    device: Mapping[str, Any]
    device_name: str
    created: datetime
    profiles: tuple[Profile, ...]
    device_after: Mapping[str, Any] = field(default_factory=dict)
    mixed: tuple[str, ...] = ()
    blocks_missing: int = 0
    precision_asked: float | None = None
