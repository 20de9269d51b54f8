"""Which tensors one calibration must see so that its ranges serve every target."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from onnx import ModelProto

from edgecnn.graph.plan import make_plan
from edgecnn.graph.targets import TARGETS


@dataclass(frozen=True, slots=True)
class Watched:
    """Activations in graph order; those in `exact` keep everything that was seen.

    Images are integers already: at their full range, rounding them costs nothing or little. Of the
    answers, the largest is the one that counts.
    """

    tensors: tuple[str, ...]
    exact: frozenset[str]


def watched_by_all(model: ModelProto, *, keep_float: Collection[str] = ()) -> Watched:
    """What all targets together quantize of a folded model, with and without `keep_float`."""
    kept = ((), keep_float) if keep_float else ((),)
    plans = [
        make_plan(model, target, keep_float=names) for target in TARGETS.values() for names in kept
    ]
    found = {name for plan in plans for name in plan.watched}
    image = model.graph.input[0].name
    order = (image, *(name for node in model.graph.node for name in node.output))
    answers = frozenset[str]().union(*(plan.answers for plan in plans))
    return Watched(tuple(name for name in order if name in found), answers | {image})
