"""Fine-tuning as a step of a quantization: judged like the other repairs, kept where it helps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.graph.check import Judge
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import Quantized, Step
from edgecnn.graph.split import MAX_HELD_OUT_IMAGES
from edgecnn.graph.targets import find_target
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.writing import tool_versions
from edgecnn.runtime.cache import unfinished_file


@dataclass(frozen=True, slots=True)
class Finetuning:
    """For whom, how long and from which seed."""

    target: str
    epochs: int
    seed: int

    def unfinished(self, quantized: Quantized, images: CalibrationSet) -> Path:
        """Where the state of fine-tuning this candidate on images is kept until all is done."""
        key = {
            "quantized": hashlib.sha256(quantized.model.SerializeToString()).hexdigest(),
            "images": hashlib.sha256("\n".join(images.digests).encode()).hexdigest(),
            "how": repr(self),
            **tool_versions("torch", "onnxruntime", "numpy"),
        }
        return unfinished_file("finetuning", key)


def finetuned(
    quantized: Quantized,
    source: Path,
    parts: tuple[Frames, Frames],
    *,
    options: Finetuning,
    unfinished: Path,
    narrator: Narrator,
) -> Quantized:
    """The candidate with its integers trained on the first part, judged on the second.

    A killed run goes on after its last whole epoch, whose state is in the file `unfinished`.
    Raises GraphError where the graph has operators that cannot be trained through.
    """
    from edgecnn.training.finetune import Tuning, finetune

    fit, held_out = parts
    judge = Judge(source, islice(held_out.tensors(), MAX_HELD_OUT_IMAGES))
    if unfinished.is_file():
        narrator.line("resume", "the integers go on learning where they were interrupted")
    spec = fit.contract.preprocess
    mirror = spec.layout == "NCHW" and spec.melspectrogram is None
    with narrator.progress("fine-tune") as progress:
        best = finetune(
            fold(read_model(source)),
            quantized.model,
            fit.tensors(),
            lambda model: judge.check(model).sqnr_db,
            tuning=Tuning(
                largest_weight=find_target(options.target).largest_weight,
                epochs=options.epochs,
                mirror=mirror,
                seed=options.seed,
                unfinished=unfinished,
            ),
            progress=progress,
        )
    step = Step("fine-tuning", best.gained_db, kept=best.epoch > 0)
    return replace(
        quantized, model=best.model, steps=(*quantized.steps, step), check=judge.check(best.model)
    )
