"""Where the time of a run goes, layer by layer, and how near each layer comes to the roof.

The roofline (Williams, Waterman, Patterson: Roofline, an insightful visual performance model for
multicore architectures, Communications of the ACM 52(4), 2009) with roofs that were reached: no
data sheet knows what one thread of this machine can do, so the best rates among all layers stand
for what is possible here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Bound = Literal["compute", "memory"]

_TIMED_MS = 0.02  # clocks of profilers count in us: the rate of a shorter layer is a guess


@dataclass(frozen=True, slots=True)
class TimedLayer:
    """A layer of the engine, what it takes in a run in ms, and what it has to do for that.

    `nodes` are the nodes of the file that it came from, those with weights first. `macs` and
    `moved_bytes` (inputs, outputs and weights, each once) are of one run, None where unknown.
    """

    name: str
    nodes: tuple[str, ...]
    kind: str
    precision: str
    time_ms: float
    macs: int | None = None
    moved_bytes: int | None = None

    @property
    def title(self) -> str:
        """The node of the file that it came from, else the engine's own name."""
        return self.nodes[0] if self.nodes else self.name

    @property
    def gmac_per_s(self) -> float | None:
        """What it computes, 1e9 multiply-adds a second; None where it computes none."""
        return self._rate(self.macs)

    @property
    def gb_per_s(self) -> float | None:
        """What it moves, 1e9 bytes a second, from caches or memory."""
        return self._rate(self.moved_bytes)

    @property
    def intensity(self) -> float | None:
        """Multiply-adds for each byte that is moved."""
        return self.macs / self.moved_bytes if self.macs and self.moved_bytes else None

    def _rate(self, count: int | None) -> float | None:
        return count / self.time_ms / 1e6 if count and self.time_ms > 0 else None


@dataclass(frozen=True, slots=True)
class TimedLayers:
    """The layers in the order in which they ran, and the runs that they are a part of.

    Times are in ms: `run_ms` of a run as it ships, `profiled_ms` of one under the profiler of the
    engine, which costs time itself. Where nobody could tell, there are no layers and a reason.
    """

    layers: tuple[TimedLayer, ...] = ()
    run_ms: float = 0.0
    profiled_ms: float = 0.0
    runs: int = 0
    unavailable: str = ""

    @property
    def layers_ms(self) -> float:
        """What the layers take together."""
        return sum(layer.time_ms for layer in self.layers)

    @property
    def dearest(self) -> tuple[TimedLayer, ...]:
        """The layers by what they take, the longest first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.time_ms))

    def share(self, layer: TimedLayer) -> float:
        """What a layer takes of the time of all layers, 0..1."""
        return layer.time_ms / (self.layers_ms or 1.0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer stands under the roof: which part of it, and the share that it reaches."""

    bound: Bound
    share: float


@dataclass(frozen=True, slots=True)
class Roofs:
    """The best rates that layers reached: 1e9 multiply-adds a second by precision, 1e9 bytes."""

    gmac_per_s: Mapping[str, float]
    gb_per_s: float

    def place(self, layer: TimedLayer) -> Place | None:
        """Which roof a layer comes nearer to; None where its work is not known."""
        computed, moved = layer.gmac_per_s, layer.gb_per_s
        if moved is None:
            return None
        memory = moved / self.gb_per_s if self.gb_per_s else 0.0
        best = self.gmac_per_s.get(layer.precision)
        compute = computed / best if computed and best else 0.0
        # A layer too short to set a roof may seem to pierce it.
        return max(
            Place("compute", min(1.0, compute)),
            Place("memory", min(1.0, memory)),
            key=lambda place: place.share,
        )


def roofs_of(layers: Iterable[TimedLayer]) -> Roofs:
    """The best that any of these layers reached, of those that take long enough to tell."""
    known = [layer for layer in layers if layer.gb_per_s]
    judged = [layer for layer in known if layer.time_ms >= _TIMED_MS] or known
    computed: dict[str, float] = {}
    for layer in judged:
        if rate := layer.gmac_per_s:
            computed[layer.precision] = max(rate, computed.get(layer.precision, 0.0))
    return Roofs(computed, max((layer.gb_per_s or 0.0 for layer in judged), default=0.0))


def layers_document(found: TimedLayers | None, roofs: Roofs) -> dict[str, Any] | None:
    """As JSON; None where nobody asked for layers."""
    if found is None:
        return None
    if found.unavailable:
        return {"unavailable": found.unavailable}
    return {
        "run_ms": found.run_ms,
        "profiled_ms": found.profiled_ms,
        "runs": found.runs,
        "layers": [_document(layer, roofs) for layer in found.layers],
    }


def _document(layer: TimedLayer, roofs: Roofs) -> dict[str, Any]:
    place = roofs.place(layer)
    return dataclasses.asdict(layer) | {
        "gmac_per_s": layer.gmac_per_s,
        "gb_per_s": layer.gb_per_s,
        "roof": dataclasses.asdict(place) if place else None,
    }


def read_layers(said: Mapping[str, Any] | None) -> TimedLayers | None:
    """What `layers_document` wrote; raises KeyError, TypeError or ValueError for anything else."""
    if said is None:
        return None
    if "unavailable" in said:
        return TimedLayers(unavailable=str(said["unavailable"]))
    return TimedLayers(
        layers=tuple(_layer(each) for each in said["layers"]),
        run_ms=_above_zero(said["run_ms"]),
        profiled_ms=_above_zero(said["profiled_ms"]),
        runs=int(said["runs"]),
    )


def _layer(said: Mapping[str, Any]) -> TimedLayer:
    return TimedLayer(
        name=str(said["name"]),
        nodes=tuple(map(str, said["nodes"])),
        kind=str(said["kind"]),
        precision=str(said["precision"]),
        time_ms=_above_zero(said["time_ms"]),
        macs=_count(said["macs"]),
        moved_bytes=_count(said["moved_bytes"]),
    )


def _above_zero(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e12:
        raise ValueError(f"{value!r:.40} is not a time above zero")
    return float(value)


def _count(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ValueError(f"{value!r:.40} is not a count")
    return value
