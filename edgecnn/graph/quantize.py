"""From a float model to an INT8 model: learn ranges, mend what rounding broke, check the result.

Every step that can lose is judged on images that taught it nothing, by running the very graph that
would ship; a step that does not help is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from edgecnn.errors import GraphError, UsageError
from edgecnn.graph.bench import Bench, Candidate
from edgecnn.graph.check import Check, Judge
from edgecnn.graph.checkpoint import Checkpoint
from edgecnn.graph.fold import fold
from edgecnn.graph.mend import Repair
from edgecnn.graph.model_io import opset_of
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import make_plan
from edgecnn.graph.ranges import Ranges
from edgecnn.graph.split import Images, Meter, Split
from edgecnn.graph.targets import find_target
from edgecnn.graph.thresholds import METHODS
from edgecnn.graph.watched import watched_by_all

LEAST_AGREEMENT_PER_TENSOR = 0.9
LEAST_DB_PER_TENSOR = 12.0  # below it, one answer in four changes, whatever a few images say


@dataclass(frozen=True, slots=True)
class Effort:
    """Which repairs are tried after the ranges are known."""

    bias: bool
    equalize: bool
    rounding: bool
    starts: int = 1
    """With how many methods' ranges all of it is tried, the most promising first."""

    def passes(self) -> tuple[int, int]:
        """How often all images, and how often all layers, are gone through."""
        over_layers = self.bias + self.bias * self.equalize + self.rounding
        return 1 + 2 * self.equalize * self.starts, over_layers * self.starts


EFFORTS: Mapping[str, Effort] = {
    "fast": Effort(bias=True, equalize=False, rounding=False),
    "default": Effort(bias=True, equalize=True, rounding=True),
    "max": Effort(bias=True, equalize=True, rounding=True, starts=len(METHODS)),
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

    @property
    def opset(self) -> int:
        """The version of the standard operators that the model is written in."""
        return opset_of(self.model)


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
    per_tensor: bool = False,
    ranges: Ranges | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int = 0,
    checkpoint: Checkpoint | None = None,
) -> Quantized:
    """Quantize a float ONNX model for a target.

    `calibration` gives the images to learn from and `held_out` those to judge by; without it every
    fifth calibration image is kept aside. `count`, how many there are to learn from, only serves
    `progress`; `checkpoint` keeps the state of the learning. `ranges` of an earlier run, for
    whatever target, replace it; `per_tensor` gives each weight one scale instead of one for each
    output channel. The same arguments give the same bytes.

    Raises UsageError for an unknown target, method, effort or layer, DataError for missing images
    or ranges of another model or without the method, ModelError or GraphError where the model
    cannot be quantized or one scale for a weight ruins it.
    """
    _check_words(method, effort)
    chosen, repairs = replace(find_target(target), per_channel=not per_tensor), EFFORTS[effort]
    images = Split(calibration, held_out)
    folded = fold(read_model(source))
    plan = make_plan(folded, chosen, keep_float=keep_float)
    over_images, over_layers = repairs.passes()
    total = count * over_images + len(plan.layers) * over_layers if count else 0
    bench = Bench(
        folded=folded,
        plan=plan,
        watched=watched_by_all(folded, keep_float=keep_float),
        target=chosen,
        images=images,
        judge=Judge(source, images.kept_aside(), threads=threads),
        meter=Meter(progress, total),
        threads=threads,
        checkpoint=checkpoint,
    )
    starts = bench.starts(ranges or bench.learnt(method, calibration_sha256), method)
    tried = [_mend(bench, start, repairs) for start in starts[: repairs.starts]]
    best, steps = max(tried, key=lambda pair: pair[0].check.sqnr_db)
    bench.meter.finish()
    if per_tensor:
        _refuse_ruins(best.check)
    return Quantized(best.model, best.ranges, steps, best.check, plan.float_layers(folded))


def _check_words(method: str, effort: str) -> None:
    if method != "auto" and method not in METHODS:
        raise UsageError(f"unknown method {method!r}", hint=f"one of auto, {', '.join(METHODS)}")
    if effort not in EFFORTS:
        raise UsageError(f"unknown effort {effort!r}", hint=f"one of {', '.join(EFFORTS)}")


def _refuse_ruins(check: Check) -> None:
    too_few = check.top1_agreement < LEAST_AGREEMENT_PER_TENSOR
    if too_few or check.sqnr_db < LEAST_DB_PER_TENSOR:
        raise GraphError(
            f"one scale for each weight ruins this network: SQNR {check.sqnr_db:.1f} dB,"
            f" top-1 agreement {check.top1_agreement:.1%} with FP32 on {check.n} images",
            hint="leave --per-tensor out: a scale for each channel costs no time",
        )


def _mend(bench: Bench, plain: Candidate, effort: Effort) -> tuple[Candidate, tuple[Step, ...]]:
    """Try one repair after another, each together with those that were kept."""
    work = _Work(bench, plain, plain)
    if effort.bias:
        work.repair("bias", lambda on: on.bias_correction)
    if effort.equalize:
        work.equalize()
    if effort.rounding:
        work.repair("rounding", lambda on: on.rounding)
    return work.best, tuple(work.steps)


class _Work:
    """The best candidate so far, and what it is made of."""

    def __init__(self, bench: Bench, plain: Candidate, best: Candidate) -> None:
        self._bench = bench
        self._plain = plain
        self._kept: list[Callable[[Bench], Repair]] = []
        self.best = best
        self.steps: list[Step] = []

    def repair(self, name: str, repair: Callable[[Bench], Repair]) -> None:
        """Add a repair to those that were kept, unless it makes things worse."""
        # The bias comes last: it mends what is left of the error that rounding makes.
        rival = self._mended(self._bench, self._plain, [repair, *self._kept])
        if self._judged(name, rival):
            self._kept.insert(0, repair)

    def equalize(self) -> None:
        """Go on with scaled channels, unless they make things worse."""
        bench = self._bench.equalized()
        if bench is None:
            return
        plain = bench.learnt_again(self._plain.ranges)
        if self._judged("equalize", self._mended(bench, plain, self._kept)):
            self._bench, self._plain = bench, plain

    def _mended(
        self, bench: Bench, plain: Candidate, repairs: list[Callable[[Bench], Repair]]
    ) -> Candidate:
        if not repairs:
            return plain
        return bench.mended(plain, [repair(bench) for repair in repairs])

    def _judged(self, name: str, rival: Candidate) -> bool:
        gained_db = rival.check.sqnr_db - self.best.check.sqnr_db
        if gained_db > 0:
            self.best = rival
        self.steps.append(Step(name, gained_db, kept=gained_db > 0))
        return gained_db > 0
