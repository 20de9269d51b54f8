"""Making quantized candidates of one model and judging them all in the same way."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from onnx import ModelProto

from edgecnn.graph.bias import BiasCorrection
from edgecnn.graph.check import Check, Judge
from edgecnn.graph.checkpoint import Checkpoint
from edgecnn.graph.equalize import equalize
from edgecnn.graph.mend import Repair, mend
from edgecnn.graph.mixed import IMAGES, best_methods
from edgecnn.graph.observe import Histogram, observe
from edgecnn.graph.plan import Plan
from edgecnn.graph.qdq import write_qdq
from edgecnn.graph.ranges import MIXED, Ranges
from edgecnn.graph.rounding import Rounding
from edgecnn.graph.split import Meter, Split
from edgecnn.graph.targets import Target
from edgecnn.graph.thresholds import METHODS, PREFERRED_METHOD, Range, learn, learn_all
from edgecnn.graph.watched import Watched
from edgecnn.graph.weights import weight_scales
from edgecnn.graph.wiring import FloatArray

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
    watched: Watched
    target: Target
    images: Split
    judge: Judge
    meter: Meter
    threads: int
    checkpoint: Checkpoint | None = None

    def learnt(self, method: str, calibration_sha256: str) -> Ranges:
        """What the images teach of every tensor that any target quantizes; `auto` is all methods.

        The method of the ranges is not chosen yet.
        """
        methods = tuple(METHODS) if method == "auto" else (method,)
        return Ranges(
            by_tensor=learn_all(
                self._observed(self.watched.tensors), methods, exact=self.watched.exact
            ),
            method=method,
            calibration_sha256=calibration_sha256,
            model_sha256=self._model_sha256,
        )

    def starts(self, ranges: Ranges, method: str) -> list[Candidate]:
        """Candidates with the ranges of a method; the best comes first.

        `auto` tries all, and for each tensor the one that harms least what is made of it. Raises
        DataError where the ranges belong to another model or were learnt without the method.
        """
        ranges.check(self.plan.watched, self._model_sha256)
        ranges.check_method(method)
        names = ranges.methods if method == "auto" else (method,)
        made = [self._written(replace(ranges, method=name)) for name in names]
        if len(made) > 1:
            made.extend(self._mixed(max(made, key=_merit_db).ranges))
        return sorted(made, key=_merit_db, reverse=True)

    def _mixed(self, best: Ranges) -> Iterator[Candidate]:
        """A candidate with a method for each tensor, unless all have the best one."""
        names = sorted(best.methods, key=lambda name: name != best.method)
        ranges = {name: self._chosen(replace(best, method=name)) for name in names}
        images = islice(self.images.fit(), IMAGES)
        chosen = best_methods(self.folded, self.plan, ranges, images, threads=self.threads)
        if set(chosen.values()) != {best.method}:
            yield self._written(replace(best, method=MIXED, chosen=chosen))

    def learnt_again(self, ranges: Ranges) -> Candidate:
        """Ranges by the same method for the same network with scaled channels.

        The candidate carries `ranges`, which are those to be used again: scaling is done anew.
        """
        again = learn(
            self._observed(self.plan.watched),
            ranges.method_of,
            exact=self.watched.exact,
            integers=self.plan.integers_of,
        )
        return self._written(ranges, again)

    def equalized(self) -> Bench | None:
        """The same bench with its channels scaled, None where that gains nothing."""
        folded = equalize(
            self.folded,
            self.plan,
            self.target,
            self.images.fit(),
            threads=self.threads,
            progress=self.meter.tick,
        )
        # What was kept of an interrupted run belongs to the channels as they were.
        return None if folded is None else replace(self, folded=folded, checkpoint=None)

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

    def _observed(self, tensors: Sequence[str]) -> dict[str, Histogram]:
        return observe(
            self.folded,
            tensors,
            self.images.fit(),
            threads=self.threads,
            progress=self.meter.tick,
            checkpoint=self.checkpoint,
        )

    def _written(self, ranges: Ranges, by_tensor: Mapping[str, Range] | None = None) -> Candidate:
        model = write_qdq(
            self.folded,
            self.plan,
            self.target,
            ranges=by_tensor or self._chosen(ranges),
            weight_scales=self._weight_scales,
        )
        return Candidate(ranges, model, self.judge.check(model))

    def _chosen(self, ranges: Ranges) -> dict[str, Range]:
        return {
            name: ranges.range_of(name, self.plan.integers_of(name)) for name in self.plan.watched
        }

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
