"""What a stream measures all the time, in little memory."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_KEPT = 2048  # the latest answers, half a minute to two minutes of a camera
_LATENCY, _AGE, _PREPARE, _ENGINE = range(4)


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: the middle, and what 99 % and all of the latest answers stayed within."""

    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class StreamStats:
    """A stream until now; the spreads are those of the latest 2048 answers, None before the first.

    `latency_ms` is photon to label: from the capture to the answer. `age_ms` is how old the frame
    was when the engine began. `dropped` frames were captured and not answered, `late` ones came
    later than the camera announced, `missed` answers came after the deadline. `fps` counts answers
    over the latest 2048. `drift` says in words where the latest frames differ from those that the
    file was calibrated for, `watched` what is compared: `input`, `confidence`, `ranges`.
    """

    answered: int
    captured: int
    dropped: int
    late: int
    missed: int
    reconnects: int
    fps: float
    latency_ms: Spread | None
    age_ms: Spread | None
    preprocess_ms: Spread | None
    engine_ms: Spread | None
    watched: tuple[str, ...]
    drift: tuple[str, ...]


class Watch:
    """Collects; any thread may ask while another adds."""

    def __init__(self, deadline_ms: float | None) -> None:
        self._deadline_ms = deadline_ms
        self._lock = threading.Lock()
        self._values = np.zeros((4, _KEPT))
        self._times_s = np.zeros(_KEPT)
        self._answered = self._missed = self._skipped = 0

    def add(self, *, latency_ms: float, age_ms: float, prepare_ms: float, engine_ms: float) -> None:
        """One answer."""
        with self._lock:
            place = self._answered % _KEPT
            self._values[:, place] = latency_ms, age_ms, prepare_ms, engine_ms
            self._times_s[place] = time.monotonic()
            self._answered += 1
            self._missed += self._deadline_ms is not None and latency_ms > self._deadline_ms

    def skip(self) -> None:
        """A frame that was preprocessed and not answered."""
        with self._lock:
            self._skipped += 1

    def stats(
        self,
        *,
        captured: int,
        dropped: int,
        late: int,
        reconnects: int,
        watched: tuple[str, ...],
        drift: tuple[str, ...],
    ) -> StreamStats:
        """All of it, with what the camera counts."""
        with self._lock:
            count = min(self._answered, _KEPT)
            values, times_s = self._values[:, :count].copy(), self._times_s[:count].copy()
            answered, missed, skipped = self._answered, self._missed, self._skipped
        return StreamStats(
            answered=answered,
            captured=captured,
            dropped=dropped + skipped,
            late=late,
            missed=missed,
            reconnects=reconnects,
            fps=_rate(times_s),
            latency_ms=_spread(values[_LATENCY]),
            age_ms=_spread(values[_AGE]),
            preprocess_ms=_spread(values[_PREPARE]),
            engine_ms=_spread(values[_ENGINE]),
            watched=watched,
            drift=drift,
        )


def _rate(times_s: NDArray[np.float64]) -> float:
    if len(times_s) < 2 or not (span_s := float(np.ptp(times_s))):
        return 0.0
    return (len(times_s) - 1) / span_s


def _spread(values: NDArray[np.float64]) -> Spread | None:
    if not len(values):
        return None
    p50, p99, most = np.percentile(values, (50, 99, 100))
    return Spread(float(p50), float(p99), float(most))
