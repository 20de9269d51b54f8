"""Energy of one image: all that the device spent, and what is left without its rest."""

from __future__ import annotations

from typing import Any

from edgecnn.profiling.records import Profile
from edgecnn.profiling.statistics import MIN_BLOCKS, Interval, student_interval

_MJ = 1e3  # mJ in a J


def energy_mj(profile: Profile) -> dict[str, Any]:
    """`gross` and `net` mJ an image with their intervals at 95 %, the sensors and the idle power.

    Net is less what the device spends at rest in the same time. `{"unavailable": reason}` where
    nothing was measured.
    """
    said = dict(profile.energy)
    if "unavailable" in said:
        return said
    gross = _per_image(profile, idle_w=0.0)
    if gross is None:
        return {"unavailable": "the sensor did not answer in every block"}
    idle_w = said.get("idle_w")
    net = None if idle_w is None else _per_image(profile, idle_w=idle_w)
    return {
        "gross": _document(gross),
        "net": _document(net) if net else {"unavailable": "the power at rest is not known"},
        "idle_w": idle_w,
        "sources": said.get("sources", []),
    }


def _per_image(profile: Profile, *, idle_w: float) -> Interval | None:
    measured = profile.measurement
    found = []
    for around, runs in zip(measured.around, measured.block_runs, strict=False):
        if around.energy_j is None:
            return None
        spent_j = around.energy_j - idle_w * around.wall_ns / 1e9
        found.append(spent_j * _MJ / (runs * measured.batch))
    return student_interval(found) if len(found) >= MIN_BLOCKS else None


def _document(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
