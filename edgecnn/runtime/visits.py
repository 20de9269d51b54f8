"""A worker's answers: it times runs when told to, or rests, and says how the device fares."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from edgecnn.errors import EdgecnnError, UsageError
from edgecnn.runtime.energy import Meter, total
from edgecnn.runtime.measure import LOOK_RUNS, Run, measure, measure_streams, middle
from edgecnn.runtime.state import device_state
from edgecnn.runtime.usage import peak_rss_bytes, run_delay_ns

Reply = Callable[[Mapping[str, Any]], None]

MAX_RUNS = 1_000_000
MAX_REST_S = 600


@dataclass(frozen=True, slots=True)
class Visit:
    """What is asked for: `runs` timed runs after `warmup` untimed ones, or something else.

    That is `rest_s` of nothing, or the times of the `layers`.
    """

    runs: int = 0
    warmup: int = 0
    rest_s: float = 0.0
    layers: bool = False


class Visits:
    """One file's runs, one for each stream, timed together; `meters` count their energy.

    `layers` gives the times of its layers as JSON, in EngineErrors where its engine has none.
    """

    def __init__(
        self,
        streams: Sequence[Run],
        *,
        layers: Callable[[], Mapping[str, Any]],
        meters: tuple[Meter, ...] = (),
        root: Path = Path("/"),
    ) -> None:
        self._streams = tuple(streams)
        self._layers = layers
        self._meters = meters
        self._root = root
        self._done = 0
        self._threads = ThreadPoolExecutor(len(streams)) if len(streams) > 1 else None

    def warm_streams(self, latencies_ns: Sequence[int]) -> int:
        """What a run takes now in ns, for planning: of all streams together where there are more.

        `latencies_ns` are those of the warm-up of the first one.
        """
        if self._threads is None:
            return middle(latencies_ns)
        runs = LOOK_RUNS * len(self._streams)
        self._timed(runs)  # the other streams' first runs
        started_ns = time.perf_counter_ns()
        self._timed(runs)
        return max(1, (time.perf_counter_ns() - started_ns) // runs)

    def obey(self, requests: Iterable[str], reply: Reply) -> None:
        """Answer each line until `{"quit": true}` or the end."""
        for line in requests:
            try:
                visit = _request(line)
                if visit is None:
                    return
                reply(self._answer(visit))
            except EdgecnnError as error:
                reply(error_reply(error))

    def __enter__(self) -> Visits:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._threads:
            self._threads.shutdown()

    def _answer(self, visit: Visit) -> Mapping[str, Any]:
        if visit.layers:
            return self._layers()
        return self._rest(visit.rest_s) if visit.rest_s else self._visit(visit)

    def _visit(self, visit: Visit) -> dict[str, Any]:
        if visit.warmup:
            self._timed(visit.warmup)
        for meter in self._meters:
            meter.start()
        waited_ns = run_delay_ns()
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        latencies_ns = self._timed(visit.runs)
        wall_ns, cpu_ns = time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns
        return {
            "latencies_ns": latencies_ns,
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "waited_ns": None if waited_ns is None else (run_delay_ns() or 0) - waited_ns,
            "energy_j": total(meter.stop() for meter in self._meters),
            "peak_rss_bytes": peak_rss_bytes(),
            "state": device_state(self._root),
        }

    def _timed(self, runs: int) -> tuple[int, ...]:
        first, self._done = self._done, self._done + runs
        if self._threads is None:
            return measure(self._streams[0], runs=runs, first=first)
        return measure_streams(self._streams, runs=runs, first=first, executor=self._threads)

    def _rest(self, seconds: float) -> dict[str, Any]:
        """What the device spends while nothing runs, and how it fares after that."""
        for meter in self._meters:
            meter.start()
        started_ns = time.perf_counter_ns()
        time.sleep(seconds)
        wall_ns = time.perf_counter_ns() - started_ns
        joules = total(meter.stop() for meter in self._meters)
        return {"wall_ns": wall_ns, "energy_j": joules, "state": device_state(self._root)}


def error_reply(error: EdgecnnError) -> dict[str, Any]:
    """An error as a line of the protocol."""
    kind = type(error).__name__
    return {"error": {"type": kind, "message": str(error), "hint": error.hint}}


_REQUEST_HINT = (
    f'{{"run": 1 to {MAX_RUNS}, "warmup": 0 or more}}, {{"rest_s": seconds}}, {{"layers": true}}'
    ' or {"quit": true}'
)


def _request(line: str) -> Visit | None:
    """What a line asks for, None for the end; raises UsageError for anything else."""
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if document == {"quit": True}:
        return None
    visit = _asked(document) if isinstance(document, dict) else None
    if visit is None:
        raise UsageError(f"not a request: {line.strip()[:80]!r}", hint=_REQUEST_HINT)
    return visit


def _asked(document: Mapping[str, Any]) -> Visit | None:
    if document == {"layers": True}:
        return Visit(layers=True)
    if set(document) == {"rest_s"}:
        rest_s = document["rest_s"]
        within = _is_number(rest_s, int, float) and 0 < rest_s <= MAX_REST_S
        return Visit(rest_s=rest_s) if within else None
    runs, warmup = document.get("run", 0), document.get("warmup", 0)
    if set(document) - {"run", "warmup"} or not (_is_number(runs, int) and _is_number(warmup, int)):
        return None
    return Visit(runs, warmup) if 1 <= runs <= MAX_RUNS and 0 <= warmup <= MAX_RUNS else None


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
