"""Keeping INT8 within a budget: judge, put layers back to float, judge again.

Layers are chosen by the errors that they add on calibration images, never by what the judging
images say of them. Those only say how much is still missing; since they are looked at again in
each round, round r is judged at a confidence of 1 - 0.05 / r (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edgecnn.graph.causes import explain
from edgecnn.graph.fold import fold
from edgecnn.graph.latency import Extra, extra_latency
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import Quantized
from edgecnn.graph.rescue import Choice, Rescue
from edgecnn.graph.sensitivity import LayerError, sensitivity
from edgecnn.graph.split import Images
from edgecnn.graph.targets import find_target
from edgecnn.pipeline.jury import Jury
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.verdicts import Outcome, Rescued, layers, told
from edgecnn.profiling.budget import Verdict
from edgecnn.profiling.records import Evaluation
from edgecnn.profiling.statistics import CONFIDENCE

MOST_LOOKS = 6
SENSITIVITY_IMAGES = 16

_LEAST_STEP_DB = 1.0  # a round that aims lower is not worth another look


@dataclass(frozen=True, slots=True)
class Workshop:
    """How candidates are made: `requantize` takes the names of more nodes to leave in float.

    `images` give the tensors that errors and latencies are measured with; `kept` are nodes that
    stay in float anyway; `output` is what the file will be called.
    """

    source: Path
    output: Path
    target: str
    images: Images
    requantize: Callable[[tuple[str, ...]], Quantized]
    kept: tuple[str, ...] = ()


@dataclass(slots=True)
class _State:
    """The candidates so far; `taken` counts the choices of the current one."""

    quantized: Quantized
    verdict: Verdict
    taken: int = 0
    looks: int = 1
    best: tuple[Quantized, Verdict, int] = field(init=False)

    def __post_init__(self) -> None:
        self.best = (self.quantized, self.verdict, 0)

    def moved(self, quantized: Quantized, verdict: Verdict, taken: int) -> None:
        self.quantized, self.verdict, self.taken = quantized, verdict, taken
        self.looks += 1
        lost = verdict.limit.lost
        if lost(verdict.interval.value) <= lost(self.best[1].interval.value):
            self.best = (quantized, verdict, taken)


def keep_budget(
    first: Quantized, jury: Jury, workshop: Workshop, narrator: Narrator
) -> tuple[Quantized, Outcome]:
    """The candidate that keeps to the budget with the fewest layers in float, or the best one."""
    verdict = jury.judge(first.model.SerializeToString(), confidence=CONFIDENCE)
    state = _State(first, verdict)
    rescued: tuple[Rescued, ...] = ()
    if not verdict.holds_at_best:
        narrator.line("budget", f"{told(verdict)}: looking for the layers that cost most")
        rescued = _rescue(state, jury, workshop, narrator)
    final, last, taken = state.best
    outcome = Outcome(
        first=verdict,
        verdict=last,
        images=jury.images,
        independent=jury.independent,
        looks=state.looks,
        rescued=rescued[:taken],
        price=_price(first, final, workshop) if taken else None,
        evaluation=_evaluation(state, jury, final, workshop.output),
    )
    return final, outcome


def _evaluation(state: _State, jury: Jury, final: Quantized, output: Path) -> Evaluation | None:
    if final is not state.quantized:
        jury.judge(final.model.SerializeToString(), confidence=CONFIDENCE)
    return jury.evaluation(output)


def _price(first: Quantized, final: Quantized, workshop: Workshop) -> Extra:
    return extra_latency(first.model, final.model, next(workshop.images()))


def _rescue(
    state: _State, jury: Jury, workshop: Workshop, narrator: Narrator
) -> tuple[Rescued, ...]:
    order, errors = _ordered(state.quantized, workshop, narrator)
    while not state.verdict.holds_at_best and state.looks < MOST_LOOKS:
        taken = _enough(order, state)
        if taken == state.taken:
            break
        names = tuple(name for choice in order[:taken] for name in choice.names)
        quantized = workshop.requantize(names)
        confidence = 1 - (1 - CONFIDENCE) / (state.looks + 1)
        verdict = jury.judge(quantized.model.SerializeToString(), confidence=confidence)
        state.moved(quantized, verdict, taken)
        narrator.line("rescue", f"{layers(len(names))} in float: {told(verdict)}")
    return tuple(_told_choice(choice, errors) for choice in order)


def _ordered(
    quantized: Quantized, workshop: Workshop, narrator: Narrator
) -> tuple[tuple[Choice, ...], Sequence[LayerError]]:
    model = fold(read_model(workshop.source))
    images = list(islice(workshop.images(), SENSITIVITY_IMAGES))
    errors = sensitivity(model, quantized.model, images)
    search = Rescue(
        model, quantized.model, find_target(workshop.target), errors, kept=workshop.kept
    )
    with narrator.progress("prices") as progress:
        return search.order(images[0], progress=progress), errors


def _enough(order: Sequence[Choice], state: _State) -> int:
    """How many choices should do: those that are expected to gain what is missing."""
    before_db = order[state.taken - 1].gained_db if state.taken else 0.0
    wanted_db = before_db + max(_LEAST_STEP_DB, state.verdict.excess_db())
    for count in range(state.taken + 1, len(order) + 1):
        if order[count - 1].gained_db >= wanted_db:
            return count
    return len(order)


def _told_choice(choice: Choice, errors: Sequence[LayerError]) -> Rescued:
    """Why: the cause of the largest error among its nodes."""
    mine = [error for error in errors if error.name in choice.names]
    worst = max(mine, key=lambda error: error.here, default=None)
    why = explain(worst).text if worst else "reads or makes what they round"
    return Rescued(choice.names, choice.spared, choice.extra_ms, why)
