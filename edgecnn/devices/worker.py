"""Our end of a worker: one file, loaded in one process on a device, timed when it is asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from edgecnn.devices.conversation import START_TIMEOUT_S, Conversation, garbage
from edgecnn.devices.device import Device
from edgecnn.devices.facts import checked_state
from edgecnn.devices.untrusted import one_word
from edgecnn.errors import DeviceError
from edgecnn.runtime.engines.base import Layer
from edgecnn.runtime.layers import LayerTime, LayerTimes

_PATIENCE = 50.0  # times the expected duration, before a device counts as dead
_LEAST_TIMEOUT_S = 60.0
_LAYER_RUNS = 100  # about, with and without the engine's profiler
_MAX_WORD, _MAX_FACTS = 2000, 64
_CLOCK_RATE, _CLOCK_NS = 0.01, 10_000_000  # two clocks may differ by so much


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker says once its file is loaded and warm.

    `run_ns` is what a run takes now, for planning; `facts` are the engine's. `energy` names the
    sensors that count joules, `no_energy` says why there is none.
    """

    sha256: str
    engine: str
    facts: Mapping[str, str]
    precision: str
    boundary: str
    batch: int
    threads: int
    streams: int
    emulated: str | None
    load_ms: float
    first_run_ms: float
    warmup_runs: int
    run_ns: int
    rss_before_load_bytes: int
    peak_rss_bytes: int
    energy: tuple[str, ...]
    no_energy: str | None

    @property
    def least_ns(self) -> float:
        """What loading and warming up cannot have taken less than."""
        return (self.load_ms + self.first_run_ms) * 1e6 + self.run_ns


@dataclass(frozen=True, slots=True)
class Visit:
    """One block of one file: latencies in run order, and what was counted around them.

    `waited_ns` is how long its threads waited for a CPU that others had, `energy_j` what the
    device spent, each None where nothing counts it; `state` is how the device fares after it.
    """

    latencies_ns: tuple[int, ...]
    wall_ns: int
    cpu_ns: int
    waited_ns: int | None
    energy_j: float | None
    peak_rss_bytes: int
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rest:
    """A while in which nothing ran: what the device spent, and how it fares after that."""

    wall_ns: int
    energy_j: float | None
    state: Mapping[str, Any]


class Worker:
    """A file that is loaded on a device and waits for visits.

    Raises the worker's own EdgecnnError where it cannot load the file, EngineError where it dies.
    """

    def __init__(self, device: Device, arguments: Sequence[str], *, file: str) -> None:
        self._file = file
        self._talk = Conversation(device, ("worker", *arguments), file=file)
        try:
            started_ns = time.monotonic_ns()
            self.ready = self._talk.hear(_ready, timeout_s=START_TIMEOUT_S)
            _check_clock(self.ready.least_ns, time.monotonic_ns() - started_ns, file)
        except BaseException:
            self._talk.close(patiently=False)
            raise

    @property
    def file(self) -> str:
        """The file that it holds."""
        return self._file

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._talk.pid

    def visit(self, *, runs: int, warmup: int) -> Visit:
        """Time `runs` runs after `warmup` untimed ones; raises EngineError, DeviceError."""
        asked_ns = time.monotonic_ns()
        self._talk.ask({"run": runs, "warmup": warmup})
        expected_s = (runs + warmup) * self.ready.run_ns / 1e9
        timeout_s = max(_LEAST_TIMEOUT_S, _PATIENCE * expected_s)
        visit = self._talk.hear(parse_visit, timeout_s=timeout_s)
        if len(visit.latencies_ns) != runs:
            raise garbage(self._file, f"{len(visit.latencies_ns)} latencies for {runs} runs")
        if max(visit.latencies_ns) > visit.wall_ns:
            raise garbage(self._file, f"a run longer than the {visit.wall_ns} ns of all of them")
        _check_clock(visit.wall_ns, time.monotonic_ns() - asked_ns, self._file)
        return visit

    def layers(self) -> LayerTimes:
        """Where the time of a run goes, by the engine's own profiler; raises EngineError where it
        has none that is read, DeviceError.
        """
        self._talk.ask({"layers": True})
        expected_s = _LAYER_RUNS * self.ready.run_ns / 1e9
        timeout_s = max(_LEAST_TIMEOUT_S, _PATIENCE * expected_s)
        return self._talk.hear(_layer_times, timeout_s=timeout_s)

    def rest(self, seconds: float) -> Rest:
        """Let the device idle for a while; raises EngineError, DeviceError."""
        self._talk.ask({"rest_s": seconds})
        return self._talk.hear(_rest, timeout_s=_LEAST_TIMEOUT_S + seconds)

    def close(self, *, patiently: bool = True) -> None:
        """End the process."""
        self._talk.close(patiently=patiently)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close(patiently=kind is None)


def _check_clock(theirs_ns: float, ours_ns: int, file: str) -> None:
    """Refuse a time that cannot have passed: a device's clock may jump, or have its own pace."""
    if theirs_ns > ours_ns * (1 + _CLOCK_RATE) + _CLOCK_NS:
        raise DeviceError(
            f"{file}: the device's clock cannot be trusted: it counted {theirs_ns / 1e9:.3f} s "
            f"while {ours_ns / 1e9:.3f} s passed here",
            hint="was it suspended, or is it a virtual machine? run it again",
        )


def _ready(answer: Mapping[str, Any]) -> Ready:
    said = answer["ready"]
    return Ready(
        sha256=_word(said["sha256"]),
        engine=_word(said["engine"]),
        facts={_word(key): _word(value) for key, value in list(said["facts"].items())[:_MAX_FACTS]},
        precision=_word(said["precision"]),
        boundary=_word(said["boundary"]),
        batch=_positive(said["batch"]),
        threads=_positive(said["threads"]),
        streams=_positive(said["streams"]),
        emulated=None if said["emulated"] is None else _word(said["emulated"]),
        load_ms=_ms(said["load_ms"]),
        first_run_ms=_ms(said["first_run_ms"]),
        warmup_runs=_positive(said["warmup_runs"]),
        run_ns=_positive(said["run_ns"]),
        rss_before_load_bytes=_positive(said["rss_before_load_bytes"]),
        peak_rss_bytes=_positive(said["peak_rss_bytes"]),
        energy=tuple(map(_word, said["energy"][:_MAX_FACTS])),
        no_energy=None if said["no_energy"] is None else _word(said["no_energy"]),
    )


def parse_visit(answer: Mapping[str, Any]) -> Visit:
    """A visit from its JSON; raises KeyError, TypeError or ValueError for anything else."""
    waited_ns = answer["waited_ns"]
    return Visit(
        latencies_ns=tuple(_positive(value) for value in answer["latencies_ns"]),
        wall_ns=_positive(answer["wall_ns"]),
        cpu_ns=int(answer["cpu_ns"]),
        waited_ns=None if waited_ns is None else int(waited_ns),
        energy_j=_joules(answer["energy_j"]),
        peak_rss_bytes=_positive(answer["peak_rss_bytes"]),
        state=checked_state(answer["state"]),
    )


def _rest(answer: Mapping[str, Any]) -> Rest:
    return Rest(
        wall_ns=_positive(answer["wall_ns"]),
        energy_j=_joules(answer["energy_j"]),
        state=checked_state(answer["state"]),
    )


def _layer_times(answer: Mapping[str, Any]) -> LayerTimes:
    return LayerTimes(
        layers=tuple(LayerTime(_layer(each["layer"]), _ms(each["time_ms"]))
                     for each in answer["layers"]),
        run_ms=_ms(answer["run_ms"]),
        profiled_ms=_ms(answer["profiled_ms"]),
        runs=_positive(answer["runs"]),
    )  # fmt: skip


def _layer(said: Mapping[str, Any]) -> Layer:
    name, kind, precision = (_word(said[key]) for key in ("name", "kind", "precision"))
    return Layer(name, kind, precision, tuple(map(_word, said["origins"])))


def _word(value: object) -> str:
    return one_word(str(value), most_chars=_MAX_WORD)


def _ms(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{value!r:.40} is not a time above zero")
    return float(value)


def _joules(value: object) -> float | None:
    if value is not None and not isinstance(value, (int, float)):
        raise TypeError(f"{value!r:.40} is no energy")
    return value


def _positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r:.40} is not a count above zero")
    return value
