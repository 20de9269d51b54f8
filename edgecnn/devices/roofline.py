"""Which limit of a board a layer meets first: the roofline, with the price of starting it.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model for multicore
architectures, Communications of the ACM 52(4), 2009. Bounds, not estimates: a layer may be slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgecnn.devices.boards import Board, Precision
from edgecnn.errors import DeviceError

Limit = Literal["compute", "memory", "launch"]

BYTES: Mapping[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class Roof:
    """The least time that each limit leaves a layer, in seconds."""

    compute_s: float
    memory_s: float
    launch_s: float

    @property
    def limit(self) -> Limit:
        """The limit that leaves the most time, which is the one the layer meets."""
        times: dict[Limit, float] = {
            "compute": self.compute_s,
            "memory": self.memory_s,
            "launch": self.launch_s,
        }
        return max(times, key=lambda name: times[name])

    @property
    def least_s(self) -> float:
        """The layer cannot take less: it computes while it moves, but it is started first."""
        return max(self.compute_s, self.memory_s, self.launch_s)


def roof(board: Board, *, macs: int, values: int, precision: Precision = "fp32") -> Roof:
    """The roof over a layer of so many multiply-accumulates that moves so many values.

    `values` are its input, its output and its parameters, each moved once. Raises DeviceError for a
    precision in which nothing is known about the board.
    """
    if precision not in board.macs_per_s:
        raise DeviceError(
            f"nothing is known about {board.name} in {precision}",
            hint=f"it has {', '.join(board.macs_per_s)}",
        )
    return Roof(
        compute_s=macs / board.macs_per_s[precision],
        memory_s=values * BYTES[precision] / board.bytes_per_s,
        launch_s=board.launch_s,
    )
