"""What a detector needs on its way through the pipeline: a description, and boxes to compare."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract, TensorSpec
from edgecnn.detection import Detection, detection_from_dict
from edgecnn.errors import ContractError
from edgecnn.pipeline.proof import uncached
from edgecnn.runtime.detections import agreeing
from edgecnn.runtime.preprocess import Image

LEAST_SCORE = 0.5
LEAST_IOU = 0.8

_STRIDES = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class BoxCheck:
    """How many of `boxes` boxes that FP32 finds with a score of 0.5 or more INT8 finds too: of the
    same class, with an IoU of 0.8 or more; on `images` images. `extra` boxes of such a score are
    INT8's alone.
    """

    images: int
    boxes: int
    found: int
    extra: int

    @property
    def share(self) -> float | None:
        """`found` of `boxes`, or None where there was nothing to find."""
        return self.found / self.boxes if self.boxes else None


def describe(
    said: Mapping[str, Any] | None, outputs: tuple[TensorSpec, ...], size: tuple[int, int]
) -> Detection | None:
    """A detector's description from what was said of it; NanoDet's strides and bins from its graph.

    Raises ContractError where it does not fit the graph.
    """
    if said is None:
        return None
    values = dict(said)
    if values.get("decoder") == "nanodet":
        values.setdefault("strides", _strides(outputs, size))
    try:
        return detection_from_dict(values)
    except (TypeError, ValueError, KeyError) as error:
        raise ContractError(
            f"detection: {' '.join(str(error).split())[:80]}",
            hint='begin with: decoder = "nanodet"',
        ) from error


def _strides(outputs: tuple[TensorSpec, ...], size: tuple[int, int]) -> tuple[int, ...]:
    cells = {spec.shape[1] for spec in outputs if len(spec.shape) == 3}
    found = [
        stride for stride in _STRIDES if math.prod(-(-side // stride) for side in size) in cells
    ]
    if len(outputs) != 2 * len(found):
        raise ContractError(
            f"nanodet: {len(outputs)} outputs, of which {len(found)} strides are known",
            hint="it has class scores and distances for each stride, (batch, cells, values) both",
        )
    return tuple(found)


def describe_module(module: object, size: tuple[int, int]) -> Detection | None:
    """The description that a network gives of itself by a method `detection(size)`, or None."""
    method = getattr(module, "detection", None)
    found = method(size) if callable(method) else None
    return found if isinstance(found, Detection) else None


def output_names(detection: Detection | None) -> tuple[str, ...]:
    """What the outputs of an exported network are called."""
    return ("logits",) if detection is None else ("logits", "boxes")


def compare_boxes(
    source: Path, int8: bytes, contract: Contract, images: Iterable[Image]
) -> BoxCheck:
    """Run a float detector and its INT8 graph on images and count the boxes that both find."""
    seen = boxes = found = extra = 0
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        graph = Path(scratch) / "int8.onnx"
        graph.write_bytes(int8)
        with uncached(source, contract) as reference, uncached(graph, contract) as quantized:
            for image in images:
                wanted, given = reference.detect(image), quantized.detect(image)
                sure, claimed = wanted.above(LEAST_SCORE), given.above(LEAST_SCORE)
                found += agreeing(sure, given, least_iou=LEAST_IOU)
                extra += len(claimed) - agreeing(claimed, wanted, least_iou=LEAST_IOU)
                boxes += len(sure)
                seen += 1
    return BoxCheck(seen, boxes, found, extra)
