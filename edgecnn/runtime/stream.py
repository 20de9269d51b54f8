"""A model on a camera: capture, preprocessing and inference at the same time, measured always."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import UsageError
from edgecnn.runtime.camera import Camera
from edgecnn.runtime.detections import Detections
from edgecnn.runtime.drift import DriftWatch, glance
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.handover import Handover
from edgecnn.runtime.metrics import MetricsServer, prometheus
from edgecnn.runtime.model import Model, Result
from edgecnn.runtime.preprocess import Tensor
from edgecnn.runtime.ranges import usual_ranges_of
from edgecnn.runtime.rangewatch import RangeWatch
from edgecnn.runtime.results import Classification
from edgecnn.runtime.streamstats import StreamStats, Watch

_JOIN_S = 1.0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream answers.

    `deadline_ms`: answers older than that are counted as missed. `smoothing`: the share of the
    earlier scores in each answer, 0 to below 1 (an exponential mean over frames; classes only).
    `threshold`: classes and boxes below that score are not named. `metrics_port`: serve
    `http://127.0.0.1:PORT/metrics` for Prometheus; 0 takes a free port. `watch_ranges`: look at the
    ranges of inner layers now and then, where the file remembers what was usual of them.
    """

    deadline_ms: float | None = None
    smoothing: float = 0.0
    threshold: float = 0.0
    metrics_port: int | None = None
    watch_ranges: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1 or not 0 <= self.threshold <= 1:
            raise UsageError(
                f"smoothing {self.smoothing} or threshold {self.threshold} out of range",
                hint="smoothing is 0 to below 1, threshold 0 to 1",
            )
        if self.deadline_ms is not None and not self.deadline_ms > 0:
            raise UsageError(f"a deadline of {self.deadline_ms} ms", hint="say 33 for 30 fps")


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One frame and what is on it; `result.age_ms` is photon to label."""

    frame: Frame
    result: Result


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    frame: Frame
    tensor: Tensor
    took_ms: float


class Stream:
    """Answers to the newest frames: iterate over it. Made by `Model.stream`.

    A thread preprocesses while the engine runs in the thread that iterates. Where the camera is
    lossless every frame is answered, in order.
    """

    def __init__(self, model: Model, camera: Camera, options: StreamOptions) -> None:
        self._model = model
        self._camera = camera
        self._options = options
        self._watch = Watch(options.deadline_ms)
        self._drift = DriftWatch(model.contract)
        usuals = usual_ranges_of(model.contract) if options.watch_ranges else ()
        self._ranges = RangeWatch(model.path, usuals, lossless=camera.lossless)
        self._watched = (*self._drift.watched, *(("ranges",) if usuals else ()))
        self._scores: NDArray[np.float64] | None = None
        self._prepared = Handover[_Prepared](lossless=camera.lossless)
        self._free: list[Tensor] = []  # filled again instead of new ones; three are enough
        self._closing = threading.Event()
        model.warm_up()
        self._server = None
        if options.metrics_port is not None:
            self._server = MetricsServer(lambda: prometheus(self.stats()), options.metrics_port)
        self._thread = threading.Thread(target=self._prepare, name="edgecnn stream", daemon=True)
        self._thread.start()
        self._ranges.start()

    @property
    def metrics_port(self) -> int | None:
        """The port that Prometheus asks, where one was wanted."""
        return None if self._server is None else self._server.port

    def stats(self) -> StreamStats:
        """What was measured until now; any thread may ask."""
        camera = self._camera
        return self._watch.stats(
            captured=camera.captured,
            dropped=camera.dropped,
            late=camera.late,
            reconnects=camera.reconnects,
            watched=self._watched,
            drift=(*self._drift.messages(), *self._ranges.messages()),
        )

    def read(self, timeout_s: float | None = None) -> Answer | None:
        """The answer to the newest frame, waited for; None at the end or in vain.

        Raises what the camera, the preprocessing or the engine raised.
        """
        prepared = self._prepared.take(timeout_s)
        if prepared is None:
            if self._prepared.over:
                self._ranges.finish()
            return None
        frame = prepared.frame
        age_ms, started_ns = frame.age_ms, time.monotonic_ns()
        height, width = frame.image.shape[:2]
        try:
            result = self._model.answer(
                prepared.tensor, (height, width), since_ns=frame.captured_ns
            )
            engine_ms = (time.monotonic_ns() - started_ns) / 1e6
            self._look(prepared.tensor, result)
        finally:
            self._free.append(prepared.tensor)
        self._watch.add(
            latency_ms=result.age_ms,
            age_ms=age_ms,
            prepare_ms=prepared.took_ms,
            engine_ms=engine_ms,
        )
        return Answer(frame, self._finished(result))

    def __iter__(self) -> Iterator[Answer]:
        """Answers until the camera ends or is closed."""
        while (answer := self.read()) is not None:
            yield answer

    def close(self) -> None:
        """Stop answering; the camera and the model stay open."""
        self._closing.set()
        self._prepared.clear()
        if self._server is not None:
            self._server.close()
        self._thread.join(_JOIN_S)
        self._ranges.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        """The thread: from the newest frame to a tensor that waits for the engine."""
        try:
            while not self._closing.is_set():
                frame = self._camera.read(_JOIN_S / 4)
                if frame is not None:
                    self._give(frame)
                elif self._camera.ended:
                    self._prepared.end()
                    return
        except Exception as error:
            self._prepared.end(error)

    def _give(self, frame: Frame) -> None:
        started_ns = time.monotonic_ns()
        used = self._free.pop() if self._free else None
        tensor = self._model.preprocess(frame.image, out=used)
        took_ms = (time.monotonic_ns() - started_ns) / 1e6
        unseen = self._prepared.put(_Prepared(frame, tensor, took_ms))
        if unseen is not None:
            self._free.append(unseen.tensor)
            self._watch.skip()

    def _look(self, tensor: Tensor, result: Result) -> None:
        self._ranges.offer(tensor)
        if self._drift.watched:
            sure = float(result.scores.max()) if isinstance(result, Classification) else None
            self._drift.add(glance(tensor, self._model.contract.preprocess.layout, sure))

    def _finished(self, result: Result) -> Result:
        """Smoothed, and without what is below the threshold."""
        if isinstance(result, Detections):
            return result.above(self._options.threshold)
        if not isinstance(result, Classification):
            return result
        share, before = self._options.smoothing, self._scores
        scores = result.scores if before is None else share * before + (1 - share) * result.scores
        self._scores = scores
        return dataclasses.replace(result, scores=scores, threshold=self._options.threshold)
