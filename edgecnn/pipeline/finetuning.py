"""Fine-tuning as a step of a quantization: judged like the other repairs, kept where it helps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.graph.check import Check, Judge
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import Quantized, Step
from edgecnn.graph.split import MAX_HELD_OUT_IMAGES
from edgecnn.graph.targets import find_target
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Narrator

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class Finetuning:
    """For whom, how long and from which seed."""

    target: str
    epochs: int
    seed: int


def finetuned(
    quantized: Quantized,
    source: Path,
    parts: tuple[Frames, Frames],
    *,
    options: Finetuning,
    narrator: Narrator,
) -> Quantized:
    """The candidate with its integers trained on the first part, judged on the second.

    Raises GraphError where the graph has operators that cannot be trained through.
    """
    from edgecnn.training.finetune import Tuning, finetune

    fit, held_out = parts
    judge = Judge(source, islice(held_out.tensors(), MAX_HELD_OUT_IMAGES))
    checks: list[Check] = []

    def sqnr_db(model: ModelProto) -> float:
        checks.append(judge.check(model))
        return checks[-1].sqnr_db

    spec = fit.contract.preprocess
    mirror = spec.layout == "NCHW" and spec.melspectrogram is None
    with narrator.progress("fine-tune") as progress:
        best = finetune(
            fold(read_model(source)),
            quantized.model,
            fit.tensors(),
            sqnr_db,
            tuning=Tuning(
                largest_weight=find_target(options.target).largest_weight,
                epochs=options.epochs,
                mirror=mirror,
                seed=options.seed,
            ),
            progress=progress,
        )
    step = Step("fine-tuning", best.gained_db, kept=best.epoch > 0)
    return replace(
        quantized, model=best.model, steps=(*quantized.steps, step), check=checks[best.epoch]
    )
