"""Round after round through all files, in random order, until their medians are known."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.devices import Worker
from edgecnn.devices.worker import Visit
from edgecnn.profiling.journal import Journal
from edgecnn.profiling.options import Listener, Options, Step
from edgecnn.profiling.plan import Plan, blocks_needed, visiting_orders
from edgecnn.profiling.records import Around
from edgecnn.profiling.statistics import MIN_BLOCKS

_NEARLY_HOT_C = 3.0  # below a zone's limit: there a block would end throttled
_COOL_C = 8.0  # below the limit: cool enough to go on
_COOLING_C = 0.1  # what a rest must bring; a limit that is always exceeded is none
_REST_S = 2.0
_LONGEST_REST_S = 60.0


@dataclass(frozen=True, slots=True)
class Visited:
    """One visit of one file, and what was counted around it."""

    visit: Visit
    around: Around


Block = tuple[Visited, ...]


class Rounds:
    """The measuring itself: blocks are added until `options` has enough or time is up.

    After it was `interrupted`, a worker may still be at the visit whose answer nobody has read.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        plan: Plan,
        options: Options,
        journal: Journal | None = None,
    ) -> None:
        self._workers = workers
        self._plan = plan
        self._options = options
        self._journal = journal
        self._orders = visiting_orders(len(workers), seed=options.seed)
        self._blocks: list[Block] = []
        self._total = plan.blocks
        self._before_s = 0.0  # what blocks of an earlier run took
        self._started_s = time.monotonic()
        self.interrupted = False

    def measure(self, listener: Listener) -> tuple[Block, ...]:
        """Measure; Ctrl-C ends it where `listener` hears of that and there is enough to judge.

        Otherwise KeyboardInterrupt goes on, and the journal holds what was measured.
        """
        self._resume(listener)
        try:
            while len(self._blocks) < self._total:
                self._add(self._block(listener))
                if listener.progress:
                    listener.progress(len(self._blocks), self._total)
        except KeyboardInterrupt:
            if listener.interrupted is None or len(self._blocks) < MIN_BLOCKS:
                raise
            self.interrupted = True
            listener.interrupted(len(self._blocks), self._total)
        return tuple(self._blocks)

    def _resume(self, listener: Listener) -> None:
        kept = self._journal.blocks() if self._journal else []
        for visits in kept:
            next(self._orders)
            block = []
            for visit in visits:
                block.append(Visited(visit, _around(visit, self._before_s, 0.0)))
                self._before_s += visit.wall_ns / 1e9
            self._blocks.append(tuple(block))
        if kept:
            self._total = self._needed()
            if listener.resumed:
                listener.resumed(len(kept))

    def _add(self, block: Block) -> None:
        self._blocks.append(block)
        if self._journal:
            self._journal.keep([each.visit for each in block])
        self._total = self._needed()

    def _block(self, listener: Listener) -> Block:
        rested_s = self._cool_down()
        visited: dict[int, Visited] = {}
        for index in next(self._orders):
            if listener.step:
                listener.step(self._step(index, len(visited)))
            started_s = self._elapsed_s()
            visit = self._workers[index].visit(
                runs=self._plan.runs[index], warmup=self._plan.warmup[index]
            )
            visited[index] = Visited(visit, _around(visit, started_s, rested_s))
        return tuple(visited[index] for index in range(len(self._workers)))

    def _step(self, index: int, visited: int) -> Step:
        files = len(self._workers)
        done = len(self._blocks) * files + visited
        return Step("measure", self._workers[index].file, done, self._total * files)

    def _cool_down(self) -> float:
        """Let a device that is about to throttle rest; the seconds that took."""
        started_s = time.monotonic()
        room_c = _headroom_c(self._blocks[-1][-1].visit.state) if self._blocks else math.inf
        if room_c > _NEARLY_HOT_C:
            return 0.0
        while room_c < _COOL_C and time.monotonic() - started_s < _LONGEST_REST_S:
            before_c, room_c = room_c, _headroom_c(self._workers[0].rest(_REST_S).state)
            if room_c < before_c + _COOLING_C:
                break
        return time.monotonic() - started_s

    def _needed(self) -> int:
        files = range(len(self._workers))
        return blocks_needed(
            [[_samples(block[index], self._workers[index]) for block in self._blocks]
             for index in files],
            self._plan,
            precision=self._options.precision,
            elapsed_s=self._elapsed_s(),
            time_limit_s=self._options.time_limit_s,
        )  # fmt: skip

    def _elapsed_s(self) -> float:
        return self._before_s + time.monotonic() - self._started_s


def _samples(visited: Visited, worker: Worker) -> NDArray[np.float64]:
    """What the precision is judged by: latencies, or time for each run of all streams."""
    visit = visited.visit
    if worker.ready.boundary == "throughput":
        return np.array([visit.wall_ns / len(visit.latencies_ns)])
    return np.array(visit.latencies_ns, dtype=np.float64)


def _around(visit: Visit, started_s: float, rested_s: float) -> Around:
    return Around(
        started_s=started_s,
        wall_ns=visit.wall_ns,
        waited_ns=visit.waited_ns,
        energy_j=visit.energy_j,
        rested_s=rested_s,
        state=visit.state,
    )


def _headroom_c(state: Mapping[str, Any]) -> float:
    """How much hotter the device may become; without end where it does not tell."""
    room_c = state.get("headroom_c")
    return float(room_c) if isinstance(room_c, (int, float)) else math.inf
