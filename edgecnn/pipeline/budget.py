"""Keeping INT8 within a budget: judge, put layers back to float, judge again.

Layers are chosen by the errors that they add on calibration images, never by what the judging
images say of them. Those only say how much is still missing; since they are looked at again in
each round, the rounds share the 5 % of doubt: each is judged at 1 - 0.05 / rounds (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edgecnn.graph.causes import explain
from edgecnn.graph.fold import fold
from edgecnn.graph.latency import Extra, extra_latency
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import Quantized
from edgecnn.graph.rescue import Choice, Rescue
from edgecnn.graph.sensitivity import LayerError, Ranking
from edgecnn.graph.split import Images
from edgecnn.graph.targets import find_target
from edgecnn.pipeline.jury import Jury
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.verdicts import Outcome, Rescued, layers, told
from edgecnn.profiling.budget import Verdict
from edgecnn.profiling.statistics import CONFIDENCE

MOST_LOOKS = 6
SENSITIVITY_IMAGES = 16

_LEAST_STEP_DB = 1.0  # a round that aims lower is not worth another look


@dataclass(frozen=True, slots=True)
class Workshop:
    """How candidates are made: `requantize` takes the names of more nodes to leave in float,
    `ranking` finds out what error each layer adds.

    `images` give the tensors that errors and latencies are measured with; `kept` are nodes that
    stay in float anyway; `output` is what the file will be called.
    """

    source: Path
    output: Path
    target: str
    images: Images
    requantize: Callable[[tuple[str, ...]], Quantized]
    ranking: Ranking
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """A candidate with the first `taken` choices in float, and what the jury said."""

    taken: int
    quantized: Quantized
    verdict: Verdict

    @property
    def lost(self) -> float:
        """What its answers lose, 0..1."""
        return self.verdict.limit.lost(self.verdict.interval.value)


@dataclass(frozen=True, slots=True)
class _Looks:
    """All candidates so far, the one without any choice first."""

    made: tuple[_Look, ...]

    @property
    def best(self) -> _Look:
        """The one that holds with the fewest choices, else the one that loses least."""
        held = [look for look in self.made if look.verdict.holds_at_best]
        if held:
            return min(held, key=lambda look: look.taken)
        return min(self.made, key=lambda look: (look.lost, look.taken))

    def next_count(self, order: Sequence[Choice]) -> int | None:
        """How many choices to take next, None where there is nothing left to try.

        What is expected to gain what is missing, until the budget is held; then fewer, halving.
        """
        missed = [look for look in self.made if not look.verdict.holds_at_best]
        most = max(missed, key=lambda look: look.taken)
        if self.best.verdict.holds_at_best:
            middle = (most.taken + self.best.taken + 1) // 2
            return middle if middle < self.best.taken else None
        count = _enough(order, most)
        return count if count > most.taken else None


def keep_budget(
    first: Quantized, jury: Jury, workshop: Workshop, narrator: Narrator
) -> tuple[Quantized, Outcome]:
    """The candidate that keeps to the budget with the fewest layers in float, or the best one."""
    verdict = jury.judge(first.model.SerializeToString(), confidence=CONFIDENCE)
    looks = _Looks((_Look(0, first, verdict),))
    rescued: tuple[Rescued, ...] = ()
    if verdict.answer == "missed":
        narrator.line("budget", f"{told(verdict)}: looking for the layers that cost most")
        looks, rescued = _rescue(looks, jury, workshop, narrator)
    best = looks.best
    if best is not looks.made[-1]:
        jury.judge(best.quantized.model.SerializeToString(), confidence=CONFIDENCE)
    outcome = Outcome(
        first=verdict,
        verdict=best.verdict,
        images=jury.images,
        independent=jury.independent,
        looks=len(looks.made),
        rescued=rescued[: best.taken],
        price=_price(first, best.quantized, workshop) if best.taken else None,
        float_ms=_float_ms(first, workshop) if best.taken else None,
        evaluation=jury.evaluation(workshop.output),
    )
    return best.quantized, outcome


def _price(first: Quantized, final: Quantized, workshop: Workshop) -> Extra:
    return extra_latency(first.model, final.model, next(workshop.images()))


def _float_ms(first: Quantized, workshop: Workshop) -> float:
    extra = extra_latency(first.model, workshop.source, next(workshop.images()))
    return extra.base_ms + extra.extra_ms


def _rescue(
    looks: _Looks, jury: Jury, workshop: Workshop, narrator: Narrator
) -> tuple[_Looks, tuple[Rescued, ...]]:
    order, errors = _ordered(looks.made[0].quantized, workshop, narrator)
    while len(looks.made) < MOST_LOOKS and (count := looks.next_count(order)) is not None:
        names = tuple(name for choice in order[:count] for name in choice.names)
        quantized = workshop.requantize(names)
        confidence = 1 - (1 - CONFIDENCE) / (MOST_LOOKS - 1)
        verdict = jury.judge(quantized.model.SerializeToString(), confidence=confidence)
        looks = _Looks((*looks.made, _Look(count, quantized, verdict)))
        narrator.line("rescue", f"{layers(len(names))} in float: {told(verdict)}")
    return looks, tuple(_told_choice(choice, errors) for choice in order)


def _ordered(
    quantized: Quantized, workshop: Workshop, narrator: Narrator
) -> tuple[tuple[Choice, ...], Sequence[LayerError]]:
    model = fold(read_model(workshop.source))
    images = list(islice(workshop.images(), SENSITIVITY_IMAGES))
    errors = workshop.ranking(model, quantized.model, images)
    search = Rescue(
        model, quantized.model, find_target(workshop.target), errors, kept=workshop.kept
    )
    with narrator.progress("prices") as progress:
        return search.order(images[0], progress=progress), errors


def _enough(order: Sequence[Choice], look: _Look) -> int:
    """How many choices should do: those that are expected to gain what is missing."""
    before_db = order[look.taken - 1].gained_db if look.taken else 0.0
    wanted_db = before_db + max(_LEAST_STEP_DB, look.verdict.excess_db())
    for count in range(look.taken + 1, len(order) + 1):
        if order[count - 1].gained_db >= wanted_db:
            return count
    return len(order)


def _told_choice(choice: Choice, errors: Sequence[LayerError]) -> Rescued:
    """Why: the cause of the largest error among its nodes."""
    mine = [error for error in errors if error.name in choice.names]
    worst = max(mine, key=lambda error: error.here, default=None)
    why = explain(worst).text if worst else "reads or makes what they round"
    return Rescued(choice.names, choice.spared, choice.extra_ms, why)
