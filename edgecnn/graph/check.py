"""How far a quantized model is from the float model, on images that taught it nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import FloatArray
from edgecnn.runtime.results import is_map

BEST_DB = 120.0  # what float32 itself can show
_LEAST_POWER = 1e-30


@dataclass(frozen=True, slots=True)
class Check:
    """INT8 against FP32 on `n` images.

    `sqnr_db` is the mean over images of the ratio of the logits' power, centred for each image, to
    the power of their error; `top1_agreement` the share of images with the same best class, of a
    segmentation the share of its places. Of a network with several outputs both are means over
    its outputs.
    """

    sqnr_db: float
    top1_agreement: float
    n: int


def compare(reference: FloatArray, logits: FloatArray) -> Check:
    """Compare the outputs of two models, both (images, classes) or (images, classes, places)."""
    same = float(np.mean(reference.argmax(axis=1) == logits.argmax(axis=1)))
    reference, logits = _centred(reference), _centred(logits)
    signal = np.square(reference).sum(axis=1)
    noise = np.square(reference - logits).sum(axis=1)
    ratios = np.maximum(signal, _LEAST_POWER) / np.maximum(noise, _LEAST_POWER)
    return Check(
        sqnr_db=float(np.mean(np.minimum(10 * np.log10(ratios), BEST_DB))),
        top1_agreement=same,
        n=len(reference),
    )


class Judge:
    """The float model's answers to the images kept aside, to judge quantized models by."""

    def __init__(
        self, model: Path | ModelProto, images: Iterable[FloatArray], *, threads: int = 0
    ) -> None:
        self._images: Sequence[FloatArray] = list(images)
        self._threads = threads
        self._reference = self._answers(model)

    def check(self, quantized: ModelProto) -> Check:
        """Run a quantized model, optimised as it ships, on the images kept aside.

        Raises GraphError where one of the two answers with values that are no numbers.
        """
        answers = self._answers(quantized)
        if not all(np.isfinite(rows).all() for rows in (*self._reference, *answers)):
            raise GraphError(
                "its answers to calibration images are no numbers",
                hint="check the weights and how images are prepared: --mean, --std, --scale",
            )
        found = [
            compare(reference, given)
            for reference, given in zip(self._reference, answers, strict=True)
        ]
        return Check(
            sqnr_db=sum(check.sqnr_db for check in found) / len(found),
            top1_agreement=sum(check.top1_agreement for check in found) / len(found),
            n=found[0].n,
        )

    def _answers(self, model: Path | ModelProto) -> list[FloatArray]:
        """One array for each output: (images, classes), or with places on a third axis."""
        session = Session(model, threads=self._threads)
        answers = [[_rows(output) for output in session.run(image)] for image in self._images]
        return [np.concatenate(rows) for rows in zip(*answers, strict=True)]


def _rows(output: Array) -> FloatArray:
    """A map of classes keeps them on the second axis; whatever else there is counts as classes."""
    shape = (*output.shape[:2], -1) if is_map(output.shape) else (output.shape[0], -1)
    return np.asarray(output.reshape(shape), np.float32)


def _centred(logits: FloatArray) -> FloatArray:
    """Each image's values, (images, values), around their mean; squares of large ones fit."""
    flat = logits.reshape(len(logits), -1).astype(np.float64)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))
