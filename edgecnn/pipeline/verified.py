"""Writing an INT8 file with what the file itself was seen to do."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.errors import GraphError
from edgecnn.graph.causes import explain
from edgecnn.graph.fold import fold
from edgecnn.graph.inner import inner_activations
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import Quantized
from edgecnn.graph.sensitivity import LayerError, sensitivity
from edgecnn.onnxfile import write_contract
from edgecnn.pipeline.boxes import LEAST_IOU, LEAST_SCORE, BoxCheck
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.proof import Proof, agreement, prove_file
from edgecnn.pipeline.verdicts import Outcome
from edgecnn.pipeline.writing import Draft, write_model

WORST_IMAGES = 16
WARN_AGREEMENT = 0.95
WARN_BOXES = 0.9


@dataclass(frozen=True, slots=True)
class Verification:
    """What a written file did on images kept aside, against the file it came from.

    `worst` is the layer that adds the largest error, None where the graphs cannot be compared
    layer by layer; `boxes` is there for a detector, `budget` where there was one.
    """

    proof: Proof
    worst: LayerError | None
    boxes: BoxCheck | None = None
    budget: Outcome | None = None

    def document(self) -> dict[str, Any]:
        """The `check` of a contract and of `--json`."""
        found = self.proof.document()
        if self.worst is not None:
            found["worst_layer"] = {
                "name": self.worst.name,
                "error_here_db": round(-self.worst.here_db, 2),
                "cause": explain(self.worst).text,
            }
        if self.boxes is not None:
            found["boxes"] = asdict(self.boxes)
        return found


def worst_layer(source: Path, kept: Frames, quantized: Quantized) -> LayerError | None:
    """The layer whose own error is the largest share of its signal."""
    try:
        model = fold(read_model(source))
        errors = sensitivity(model, quantized.model, islice(kept.tensors(), WORST_IMAGES))
    except GraphError:
        return None
    named = (error for error in errors if error.layers)
    return max(named, key=lambda error: error.here, default=None)


class Sealed:
    """A file that is whole but not yet in its place: it is tried first.

    Use it as a context; `release` puts the file there with its verification inside.
    """

    def __init__(self, quantized: Quantized, draft: Draft, target: Path) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="edgecnn-")
        self._target = target
        self._path = Path(self._scratch.name) / target.name
        self._model = quantized.model.SerializeToString()
        self._inners = inner_activations(quantized.model)
        self._draft = draft

    def __enter__(self) -> Sealed:
        self.contract = write_model(self._model, self._path, self._draft)
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def prove(self, source: Path, contract: Contract, kept: CalibrationSet) -> Proof:
        """Load it as the camera does and compare it with its source."""
        return prove_file(self._path, source, contract, kept.images(), inners=self._inners)

    def release(self, verification: Verification) -> Contract:
        """Write it to its place; the last step of its provenance holds the verification."""
        provenance = copy.deepcopy(dict(self.contract.provenance))
        step = provenance["steps"][-1]
        step["check"] = verification.document()
        step["usual"] = dict(verification.proof.usual)
        if verification.budget is not None:
            step["budget"] = verification.budget.document()
        contract = dataclasses.replace(self.contract, provenance=provenance)
        write_contract(self._path, self._target, contract)
        return contract


def tell_check(
    verification: Verification, contract: Contract, narrator: Narrator, *, effort: str
) -> None:
    """Say how near the file is to FP32, where it loses most, and what would help."""
    proof, worst = verification.proof, verification.worst
    where = f"INT8 against FP32 on {proof.images} images kept aside: SQNR {proof.sqnr_db:.1f} dB, "
    if verification.boxes is not None:
        _tell_boxes(verification.boxes, where, contract, narrator, effort=effort)
    else:
        narrator.line("check", f"{where}{agreement(proof)}")
    if worst is not None:
        found = f"{worst.name}, error here {-worst.here_db:.1f} dB: {explain(worst).text}"
        narrator.line("worst layer", found)
    classes = verification.boxes is None and proof.cosine is None
    if classes and proof.agreement < WARN_AGREEMENT:
        narrator.warn(
            f"top-1 agreement with FP32 is only {proof.agreement:.1%}: {remedy(contract, effort)}"
        )


def remedy(contract: Contract, effort: str) -> str:
    """What to do about answers that INT8 does not share; no images help random weights."""
    if contract.random_weights:
        return "its weights are random, so that agreement says little"
    more = "--effort default mends more, and " if effort == "fast" else ""
    return f"{more}more or better calibration images may help"


def _tell_boxes(
    boxes: BoxCheck, where: str, contract: Contract, narrator: Narrator, *, effort: str
) -> None:
    narrator.line(
        "check",
        f"{where}{boxes.found} of {boxes.boxes} boxes above {LEAST_SCORE:g} found again "
        f"(IoU {LEAST_IOU:g} or more), {boxes.extra} more of its own",
    )
    if boxes.share is None:
        advice = remedy(contract, effort) if contract.random_weights else "use images with objects"
        narrator.warn(f"FP32 finds nothing on the images kept aside: {advice}")
    elif boxes.share < WARN_BOXES:
        advice = remedy(contract, effort)
        narrator.warn(f"only {boxes.share:.1%} of FP32's boxes are found again: {advice}")
