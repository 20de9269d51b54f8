"""How a budget ended, as a record and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecnn.errors import BudgetError
from edgecnn.graph.latency import Extra
from edgecnn.pipeline.narrator import Narrator
from edgecnn.profiling.budget import Verdict
from edgecnn.profiling.records import Evaluation

_TOLD = 6  # groups of layers on the screen


@dataclass(frozen=True, slots=True)
class Rescued:
    """Nodes that went back to float: the share of the error they gave back, their price, why."""

    names: tuple[str, ...]
    spared: float
    extra_ms: float
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a budget ended: the verdict of round `looks`, and what it took.

    `price` is what all rescued layers cost together, one thread, and `float_ms` what the float file
    takes; `evaluation` is there where
    labelled images judged. `first` is the verdict on INT8 throughout.
    """

    first: Verdict
    verdict: Verdict
    images: str
    independent: bool
    looks: int
    rescued: tuple[Rescued, ...] = ()
    price: Extra | None = None
    float_ms: float | None = None
    evaluation: Evaluation | None = None

    def document(self) -> dict[str, Any]:
        """As contracts and `--json` hold it."""
        verdict = self.verdict
        return {
            "metric": verdict.limit.metric,
            "limit": verdict.limit.value,
            "verdict": verdict.answer,
            "value": round(verdict.interval.value, 5),
            "interval": [round(verdict.interval.low, 5), round(verdict.interval.high, 5)],
            "confidence": round(verdict.confidence, 4),
            "images": verdict.images,
            "images_needed": verdict.needed,
            "judged_on": self.images,
            "independent": self.independent,
            "looks": self.looks,
            "int8_throughout": round(self.first.interval.value, 5),
            "rescued": [
                {
                    "layers": list(item.names),
                    "error_share": round(item.spared, 4),
                    "extra_ms": round(item.extra_ms, 4),
                    "why": item.why,
                }
                for item in self.rescued
            ],
            "int8_ms": None if self.price is None else round(self.price.base_ms, 4),
            "float_ms": None if self.float_ms is None else round(self.float_ms, 4),
            "extra_ms": None if self.price is None else round(self.price.extra_ms, 4),
        }


def tell(outcome: Outcome, narrator: Narrator, *, accept_loss: bool) -> None:
    """Say which layers went back to float, what that costs, and how the budget stands."""
    for item in outcome.rescued[:_TOLD]:
        share = f"{100 * item.spared:.0f} % of the error, {item.extra_ms:+.2f} ms"
        narrator.line("float", f"{' + '.join(item.names)}: {share}; {item.why}")
    if len(outcome.rescued) > _TOLD:
        narrator.line("float", f"and {len(outcome.rescued) - _TOLD} more groups: see --json")
    if outcome.price is not None:
        _tell_price(outcome, outcome.price, narrator)
    judged = f"{told(outcome.verdict)} on {outcome.images}"
    again = f", looked at {outcome.looks} times" if outcome.looks > 1 else ""
    narrator.line("budget", f"{judged}{again}: {outcome.verdict.answer}")
    if outcome.verdict.answer == "cannot tell" or (
        outcome.verdict.answer == "missed" and accept_loss
    ):
        narrator.warn(_advice(outcome.verdict))


def _tell_price(outcome: Outcome, price: Extra, narrator: Narrator) -> None:
    now_ms = price.base_ms + price.extra_ms
    whole = "" if outcome.float_ms is None else f"; FP32 takes {outcome.float_ms:.2f} ms"
    narrator.line(
        "price",
        f"{_count(outcome)} in float: {price.base_ms:.2f} -> {now_ms:.2f} ms on one thread of "
        f"ONNX Runtime, measured here{whole}",
    )
    if outcome.float_ms is not None and now_ms >= outcome.float_ms:
        narrator.warn("with these layers in float it is no faster than the FP32 file: use that one")


def check_held(outcome: Outcome, *, accept_loss: bool) -> None:
    """Raise BudgetError where the budget is missed and that was not accepted."""
    if outcome.verdict.answer != "missed" or accept_loss:
        return
    raise BudgetError(
        f"{told(outcome.verdict)}: the best that was reached, with {_count(outcome)} in float",
        hint="--accept-loss writes it all the same; --effort default and more calibration images "
        "may win some of it back",
    )


def told(verdict: Verdict) -> str:
    """`top-1 drop 0.3 points (-0.2 to 0.8), 0.5 allowed`."""
    interval = verdict.interval.scaled(100)
    span = f"({interval.low:.1f} to {interval.high:.1f})"
    if verdict.limit.metric == "drop":
        return (
            f"top-1 drop {interval.value:.1f} points {span}, {100 * verdict.limit.value:g} allowed"
        )
    least = f"{100 * verdict.limit.value:g} %"
    return f"top-1 agreement {interval.value:.1f} % {span}, {least} wanted"


def _advice(verdict: Verdict) -> str:
    if verdict.answer == "missed":
        return "the budget is missed: the file loses more than was allowed"
    start = f"{verdict.images:,} images cannot tell whether the budget is held"
    if verdict.needed is None:
        return f"{start}, and no number of them would: the figure lies too near the limit"
    return f"{start}; about {_round(verdict.needed):,} would, if they go on like these"


def _round(count: int) -> int:
    """Two digits are all that such a number deserves."""
    step = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // step) * step


def layers(count: int) -> str:
    """`1 layer` or `3 layers`."""
    return "1 layer" if count == 1 else f"{count} layers"


def _count(outcome: Outcome) -> str:
    return layers(sum(len(item.names) for item in outcome.rescued))
