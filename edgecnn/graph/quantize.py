"""From a float model to an INT8 model: learn ranges, mend what rounding broke, check the result.

Every step that can lose is judged on images that taught it nothing, by running the very graph that
would ship; a step that does not help is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from edgecnn.errors import UsageError
from edgecnn.graph.bench import Bench, Candidate
from edgecnn.graph.check import Check, Judge
from edgecnn.graph.checkpoint import Checkpoint
from edgecnn.graph.fold import fold
from edgecnn.graph.mend import Repair
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import make_plan
from edgecnn.graph.ranges import METHODS, Ranges
from edgecnn.graph.split import Images, Meter, Split
from edgecnn.graph.targets import find_target


@dataclass(frozen=True, slots=True)
class Effort:
    """Which repairs are tried after the ranges are known."""

    bias: bool
    rounding: bool


EFFORTS: Mapping[str, Effort] = {
    "fast": Effort(bias=True, rounding=False),
    "default": Effort(bias=True, rounding=True),
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
    checkpoint: Checkpoint | None = None,
) -> Quantized:
    """Quantize a float ONNX model for a target.

    `calibration` gives the images to learn from and `held_out` those to judge by; without it every
    fifth calibration image is kept aside. `count`, how many there are to learn from, only serves
    `progress`; `checkpoint` keeps the state of the learning. `ranges` of an earlier run replace it.
    The same arguments give the same bytes.

    Raises UsageError for an unknown target, method, effort or layer, DataError for missing images
    or ranges of another model, ModelError or GraphError where the model cannot be quantized.
    """
    _check_words(method, effort)
    chosen, repairs = find_target(target), EFFORTS[effort]
    images = Split(calibration, held_out)
    folded = fold(read_model(source))
    plan = make_plan(folded, chosen, keep_float=keep_float)
    total = count + len(plan.layers) * (repairs.bias + repairs.rounding) if count else 0
    bench = Bench(
        folded=folded,
        plan=plan,
        target=chosen,
        images=images,
        judge=Judge(source, images.kept_aside(), threads=threads),
        meter=Meter(progress, total),
        threads=threads,
        checkpoint=checkpoint,
    )
    best = bench.reused(ranges) if ranges else bench.learnt(method, calibration_sha256)
    best, steps = _mend(bench, best, repairs)
    bench.meter.finish()
    return Quantized(best.model, best.ranges, steps, best.check, plan.float_layers(folded))


def _check_words(method: str, effort: str) -> None:
    if method != "auto" and method not in METHODS:
        raise UsageError(f"unknown method {method!r}", hint=f"one of auto, {', '.join(METHODS)}")
    if effort not in EFFORTS:
        raise UsageError(f"unknown effort {effort!r}", hint=f"one of {', '.join(EFFORTS)}")


def _mend(bench: Bench, plain: Candidate, effort: Effort) -> tuple[Candidate, tuple[Step, ...]]:
    """Try one repair after another, each together with those that were kept."""
    best = plain
    kept: list[Repair] = []
    steps: list[Step] = []
    trials: list[tuple[str, bool, Callable[[], Repair]]] = [
        ("bias", effort.bias, lambda: bench.bias_correction),
        ("rounding", effort.rounding, lambda: bench.rounding),
    ]
    for name, wanted, repair in trials:
        if not wanted:
            continue
        # The bias comes last: it mends what is left of the error that rounding makes.
        rival = bench.mended(plain, [repair(), *kept])
        gained_db = rival.check.sqnr_db - best.check.sqnr_db
        if gained_db > 0:
            best = rival
            kept.insert(0, repair())
        steps.append(Step(name, gained_db, kept=gained_db > 0))
    return best, tuple(steps)
