"""Making quantized candidates of one model and judging them all in the same way."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto

from edgecnn.graph.bias import BiasCorrection
from edgecnn.graph.check import Check, Judge
from edgecnn.graph.mend import Repair, mend
from edgecnn.graph.observe import observe
from edgecnn.graph.plan import Plan
from edgecnn.graph.qdq import write_qdq
from edgecnn.graph.ranges import METHODS, Ranges, learn
from edgecnn.graph.rounding import Rounding
from edgecnn.graph.split import Meter, Split
from edgecnn.graph.targets import Target
from edgecnn.graph.weights import weight_scales
from edgecnn.graph.wiring import FloatArray

PREFERRED_METHOD = "mse"
_PREFERENCE_DB = 0.2  # on few images, another method that wins by less wins by luck


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quantized model, the ranges it was written with, its check."""

    ranges: Ranges
    model: ModelProto
    check: Check


def _merit_db(candidate: Candidate) -> float:
    preferred = candidate.ranges.method == PREFERRED_METHOD
    return candidate.check.sqnr_db + (_PREFERENCE_DB if preferred else 0.0)


@dataclass(frozen=True)
class Bench:
    """What stays the same while candidates are made; `folded` is the float model."""

    folded: ModelProto
    plan: Plan
    target: Target
    images: Split
    judge: Judge
    meter: Meter
    threads: int

    def learnt(self, method: str, calibration_sha256: str) -> Candidate:
        """Ranges by a method; `auto` takes the one that is best on the images kept aside."""
        histograms = observe(
            self.folded,
            self.plan.watched,
            self.images.fit(),
            threads=self.threads,
            progress=self.meter.tick,
        )
        exact = {self.folded.graph.input[0].name, *self.plan.answers}
        candidates = (
            self._written(
                Ranges(
                    by_tensor=learn(histograms, name, exact=exact, integers=self.plan.integers_of),
                    method=name,
                    calibration_sha256=calibration_sha256,
                    model_sha256=self._model_sha256,
                )
            )
            for name in (METHODS if method == "auto" else (method,))
        )
        return max(candidates, key=_merit_db)

    def reused(self, ranges: Ranges) -> Candidate:
        """The ranges of an earlier run; raises DataError where they belong to another model."""
        ranges.check(self.plan.watched, self._model_sha256)
        return self._written(ranges)

    def mended(self, candidate: Candidate, repairs: Sequence[Repair]) -> Candidate:
        """A candidate after repairs, layer by layer."""
        model = mend(
            candidate.model,
            self.plan,
            repairs,
            self.images.for_repairs(),
            threads=self.threads,
            progress=self.meter.tick,
        )
        return Candidate(candidate.ranges, model, self.judge.check(model))

    @functools.cached_property
    def bias_correction(self) -> Repair:
        """The means of float for every channel."""
        images = self.images.for_repairs()
        return BiasCorrection(self.folded, self.plan, images, threads=self.threads)

    @functools.cached_property
    def rounding(self) -> Repair:
        """Weights rounded together."""
        return Rounding(self.folded, self.plan, self.target)

    def _written(self, ranges: Ranges) -> Candidate:
        model = write_qdq(
            self.folded,
            self.plan,
            self.target,
            ranges=ranges.by_tensor,
            weight_scales=self._weight_scales,
        )
        return Candidate(ranges, model, self.judge.check(model))

    @functools.cached_property
    def _weight_scales(self) -> dict[str, FloatArray]:
        return weight_scales(self.folded, self.plan, self.target)

    @functools.cached_property
    def _model_sha256(self) -> str:
        """The sha256 of the float graph: its nodes and weights, whatever else the file says."""
        digest = hashlib.sha256()
        for message in (*self.folded.graph.node, *self.folded.graph.initializer):
            digest.update(message.SerializeToString(deterministic=True))
        return digest.hexdigest()
