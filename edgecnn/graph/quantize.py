"""From a float model to an INT8 model: learn ranges, mend what rounding broke, check the result.

Every step that can lose is judged on images that taught it nothing, by running the very graph that
would ship; a step that does not help is dropped.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from edgecnn.errors import DataError, UsageError
from edgecnn.graph.bias import correct_biases
from edgecnn.graph.check import Check, Judge
from edgecnn.graph.equalize import choose_factors, equalize, find_pairs, observe_channels
from edgecnn.graph.fold import fold
from edgecnn.graph.heads import head_tensors
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import Histogram, observe
from edgecnn.graph.plan import Plan, make_plan
from edgecnn.graph.qdq import write_qdq
from edgecnn.graph.ranges import METHODS, Ranges, learn
from edgecnn.graph.targets import Target, find_target
from edgecnn.graph.wiring import FloatArray

Images = Callable[[], Iterator[FloatArray]]
"""Gives the same preprocessed tensors, float32 (batch, ...), at each call."""

MAX_CORRECTION_IMAGES = 256
MAX_HELD_OUT_IMAGES = 64
_HELD_OUT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Effort:
    """Which steps are tried."""

    bias: bool
    equalize: bool


EFFORTS: Mapping[str, Effort] = {
    "fast": Effort(bias=True, equalize=False),
    "default": Effort(bias=True, equalize=True),
}


@dataclass(frozen=True, slots=True)
class Step:
    """What a step gained on the images kept aside, in dB, and whether it was kept."""

    name: str
    gained_db: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Quantized:
    """An INT8 model, what was learnt for it and how it compares with the float model."""

    model: ModelProto
    ranges: Ranges
    steps: tuple[Step, ...]
    check: Check
    float_layers: tuple[str, ...]


def quantize_model(  # noqa: PLR0913 - the options of one verb, all by name
    source: Path | ModelProto,
    calibration: Images,
    *,
    held_out: Images | None = None,
    calibration_sha256: str = "",
    count: int = 0,
    target: str = "onnxruntime-x86",
    method: str = "auto",
    effort: str = "default",
    keep_float: Collection[str] = (),
    ranges: Ranges | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int = 0,
) -> Quantized:
    """Quantize a float ONNX model for a target.

    `calibration` gives the images to learn from and `held_out` those to judge by; without it every
    fifth calibration image is kept aside. `count`, the number of calibration images, only serves
    `progress`. `ranges` of an earlier run replace the learning. The same arguments give the same
    bytes.

    Raises UsageError for an unknown target, method, effort or layer, DataError for missing images
    or ranges of another model, ModelError or GraphError where the model cannot be quantized.
    """
    if method != "auto" and method not in METHODS:
        raise UsageError(f"unknown method {method!r}", hint=f"one of auto, {', '.join(METHODS)}")
    if effort not in EFFORTS:
        raise UsageError(f"unknown effort {effort!r}", hint=f"one of {', '.join(EFFORTS)}")
    images = _Split(calibration, held_out)
    chosen = find_target(target)
    float_model = read_model(source)
    judge = Judge(float_model, images.kept_aside(), threads=threads)
    folded = fold(float_model)
    plan = make_plan(folded, chosen, keep_float=keep_float)
    passes = 0 if ranges is not None else 1 + 2 * EFFORTS[effort].equalize
    layers = len(plan.layers) * (EFFORTS[effort].bias + EFFORTS[effort].equalize)
    meter = _Meter(progress, passes * count + layers)
    bench = _Bench(folded, plan, chosen, images, judge, meter, calibration_sha256, threads)
    best = bench.learnt(method) if ranges is None else bench.reused(ranges)
    best, steps = _mend(bench, best, EFFORTS[effort], may_equalize=ranges is None)
    meter.finish()
    return Quantized(best.model, best.ranges, steps, best.check, plan.float_layers(folded))


def _mend(
    bench: _Bench, best: _Candidate, effort: Effort, *, may_equalize: bool
) -> tuple[_Candidate, tuple[Step, ...]]:
    """Try the steps one after another, each on top of those that were kept."""
    steps: list[Step] = []
    corrects = False
    if effort.bias:
        best, step = _better("bias", best, bench.corrected(best))
        steps.append(step)
        corrects = step.kept
    if effort.equalize and may_equalize:
        rival = bench.equalized(best)
        if rival is not None and corrects:
            rival = bench.corrected(rival)
        if rival is not None:
            best, step = _better("equalize", best, rival)
            steps.append(step)
    return best, tuple(steps)


def _better(name: str, best: _Candidate, rival: _Candidate) -> tuple[_Candidate, Step]:
    gained_db = rival.check.sqnr_db - best.check.sqnr_db
    return (rival if gained_db > 0 else best), Step(name, gained_db, kept=gained_db > 0)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A quantized model, the float model and the ranges it was written from, its check."""

    folded: ModelProto
    ranges: Ranges
    model: ModelProto
    check: Check


class _Bench:
    """Everything that stays the same while candidates are made and compared."""

    def __init__(  # noqa: PLR0913
        self,
        folded: ModelProto,
        plan: Plan,
        target: Target,
        images: _Split,
        judge: Judge,
        meter: _Meter,
        calibration_sha256: str,
        threads: int,
    ) -> None:
        self._folded = folded
        self._plan = plan
        self._target = target
        self._images = images
        self._judge = judge
        self._meter = meter
        self._calibration_sha256 = calibration_sha256
        self._model_sha256 = _sha256(folded)
        self._threads = threads

    def learnt(self, method: str) -> _Candidate:
        """Ranges by a method, or by the one that is best on the images kept aside."""
        histograms = self._observe(self._folded)
        methods = tuple(METHODS) if method == "auto" else (method,)
        candidates = [self._candidate(self._folded, histograms, name, {}) for name in methods]
        return max(candidates, key=lambda candidate: candidate.check.sqnr_db)

    def reused(self, ranges: Ranges) -> _Candidate:
        """The ranges of an earlier run; raises DataError where they belong to another model."""
        ranges.check(self._plan.watched, self._model_sha256)
        folded = equalize(self._folded, self._plan, ranges.factors)
        return self._judged(folded, ranges, self._written(folded, ranges))

    def corrected(self, candidate: _Candidate) -> _Candidate:
        """With the means of float in every channel."""
        model = correct_biases(
            candidate.folded,
            candidate.model,
            self._plan,
            self._images.for_correction,
            threads=self._threads,
            progress=self._meter.tick,
        )
        return self._judged(candidate.folded, candidate.ranges, model)

    def equalized(self, candidate: _Candidate) -> _Candidate | None:
        """With channels scaled to one another; None where no pair of layers gains by it."""
        pairs = find_pairs(self._folded, self._plan)
        if not pairs:
            return None
        seen = observe_channels(
            self._folded,
            pairs,
            self._images.fit(),
            threads=self._threads,
            progress=self._meter.tick,
        )
        factors = choose_factors(self._folded, pairs, seen, self._target)
        if not factors:
            return None
        folded = equalize(self._folded, self._plan, factors)
        return self._candidate(folded, self._observe(folded), candidate.ranges.method, factors)

    def _observe(self, folded: ModelProto) -> dict[str, Histogram]:
        return observe(
            folded,
            self._plan.watched,
            self._images.fit(),
            threads=self._threads,
            progress=self._meter.tick,
        )

    def _candidate(
        self,
        folded: ModelProto,
        histograms: Mapping[str, Histogram],
        method: str,
        factors: Mapping[str, tuple[float, ...]],
    ) -> _Candidate:
        exact = [name for name in head_tensors(folded) if name in histograms]
        by_tensor = learn(histograms, method, exact=[folded.graph.input[0].name, *exact])
        ranges = Ranges(by_tensor, method, self._calibration_sha256, self._model_sha256, factors)
        return self._judged(folded, ranges, self._written(folded, ranges))

    def _written(self, folded: ModelProto, ranges: Ranges) -> ModelProto:
        return write_qdq(folded, self._plan, ranges.by_tensor, self._target)

    def _judged(self, folded: ModelProto, ranges: Ranges, model: ModelProto) -> _Candidate:
        return _Candidate(folded, ranges, model, self._judge.check(model))


class _Split:
    """Which images teach and which judge."""

    def __init__(self, calibration: Images, held_out: Images | None) -> None:
        self._calibration = calibration
        self._held_out = held_out

    def fit(self) -> Iterator[FloatArray]:
        """The images to learn from; raises DataError where there are none."""
        images = self._calibration() if self._held_out is not None else self._every_fifth(False)
        first = next(images, None)
        if first is None:
            raise DataError("no calibration images", hint="give a folder of images")
        return itertools.chain([first], images)

    def for_correction(self) -> Iterator[FloatArray]:
        """As many of them as passes that keep something for each image may use."""
        return itertools.islice(self.fit(), MAX_CORRECTION_IMAGES)

    def kept_aside(self) -> Iterator[FloatArray]:
        """The images to judge by; raises DataError where there are none."""
        images = self._held_out() if self._held_out is not None else self._every_fifth(True)
        first = next(images, None)
        if first is None:
            raise DataError(
                "no images are kept aside to judge by", hint="give more calibration images"
            )
        return itertools.islice(itertools.chain([first], images), MAX_HELD_OUT_IMAGES)

    def _every_fifth(self, wanted: bool) -> Iterator[FloatArray]:
        for index, image in enumerate(self._calibration()):
            if (index % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == wanted:
                yield image


class _Meter:
    """Counts images seen and layers mended, and says so."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress = progress
        self._total = max(total, 1)
        self._done = 0

    def tick(self) -> None:
        """One more is done."""
        self._done = min(self._done + 1, self._total)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        """All is done, whatever was skipped."""
        self._done = self._total - 1
        self.tick()


def _sha256(model: ModelProto) -> str:
    """The sha256 of a graph: its nodes and weights, whatever else the file says."""
    digest = hashlib.sha256()
    for message in (*model.graph.node, *model.graph.initializer):
        digest.update(message.SerializeToString(deterministic=True))
    return digest.hexdigest()
