"""What is kept of a profile and an evaluation. No mean, no verdict: those live in the readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
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
    """The accuracy of a shipped file; top-5 is None where there are five classes or fewer."""

    file: str
    engine: str
    precision: str
    n: int
    top1: Accuracy
    top5: Accuracy | None
    paired: Paired | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """The latencies of one file in ns, in run order.

    `block_runs` says how many of them each block holds: blocks of different files were visited in
    random order, and all files in every block. `warmup` counts untimed runs before the first
    block, `facts` are the engine's. `cpu_share` is CPU time over wall time and threads: well
    below 1, others took the CPU, or the engine could not use its threads.
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

    @property
    def blocks(self) -> tuple[NDArray[np.int64], ...]:
        """The latencies by block, ns."""
        ends = np.cumsum(self.block_runs)[:-1]
        return tuple(np.split(np.array(self.latencies_ns, dtype=np.int64), ends))


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything measured of one file on one device.

    `energy` is `{"unavailable": reason}` where there is no sensor. `rss_before_load_bytes` is what
    interpreter and libraries held before the file was loaded.
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

    @property
    def precision(self) -> str:
        """`fp32`, `int8`, ...: what the contract says and the engine really computed in."""
        stated = self.contract.provenance.get("precision", "fp32")
        return precision(stated, self.measurement.facts)


@dataclass(frozen=True, slots=True)
class Report:
    """Profiles of one device, in the order in which the files were given."""

    device: Mapping[str, Any]
    device_name: str
    created: datetime
    profiles: tuple[Profile, ...]
