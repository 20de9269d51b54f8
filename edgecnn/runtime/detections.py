"""From a detector's raw outputs to boxes in the frame's own pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.detection import Detection
from edgecnn.errors import ContractError
from edgecnn.runtime.preprocess import placement

Boxes = NDArray[np.float32]
Scores = NDArray[np.float32]
Outputs = Sequence[NDArray[Any]]

_MOST_CANDIDATES = 1000  # what the overlaps are searched among, the best scores first
_MOST_LOGARITHM = 4.0  # a box grows to e^4 = 55 times its default at most, whatever the offset


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What was found on one frame, best first.

    `boxes` (n, 4) float32 are left, top, right, bottom in pixels of the frame, `scores` (n,)
    float32 shares of 1, `classes` (n,) int64, `names` their names. `age_ms` is the time from the
    capture of the frame to this answer, or from the call where nobody knows when it was captured.
    """

    boxes: Boxes
    scores: Scores
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    age_ms: float = 0.0

    def __len__(self) -> int:
        return len(self.names)

    def above(self, score: float) -> Detections:
        """Only those with a score of at least `score`."""
        count = int(np.count_nonzero(self.scores >= score))
        return Detections(
            self.boxes[:count],
            self.scores[:count],
            self.classes[:count],
            self.names[:count],
            self.age_ms,
        )


def detections(outputs: Outputs, contract: Contract, frame_shape: tuple[int, int]) -> Detections:
    """The boxes of one frame of (height, width): decode, drop overlaps, map back.

    `outputs` are the graph's, in its order, with a batch of one. Raises ContractError where they
    are not what the contract's description says.
    """
    spec = description(contract)
    boxes, scores = decode(outputs, spec, contract.preprocess.size)
    boxes = _in_frame(boxes[0], contract, frame_shape)
    rows, classes = _best(boxes, scores[0], spec)
    return Detections(
        boxes=boxes[rows],
        scores=scores[0][rows, classes],
        classes=classes,
        names=tuple(contract.label(int(index)) for index in classes),
    )


def description(contract: Contract) -> Detection:
    """How this detector answers; raises ContractError where the network is none."""
    if contract.detection is None:
        raise ContractError(
            f"{contract.name}: a network for {contract.task}, which finds no boxes",
            hint="use classify, or give a detector",
        )
    return contract.detection


def decode(outputs: Outputs, spec: Detection, size: tuple[int, int]) -> tuple[Boxes, Scores]:
    """Every box, (N, boxes, 4) in pixels of the input of (height, width) `size`, and its scores
    (N, boxes, classes) as shares of 1, the background's column zero.

    Raises ContractError where the outputs are not what `spec` says.
    """
    decoder = {"ssd": _ssd, "nanodet": _nanodet}[spec.decoder]
    boxes, raw = decoder(outputs, spec, size)
    scores = _activated(raw.astype(np.float32, copy=False), spec)
    if spec.background is not None and spec.background < scores.shape[2]:
        scores[:, :, spec.background] = 0
    return boxes, scores


def class_scores(outputs: Outputs, spec: Detection, size: tuple[int, int]) -> Scores:
    """The best score of every class on each image, (N, classes)."""
    best: Scores = decode(outputs, spec, size)[1].max(axis=1)
    return best


def _ssd(outputs: Outputs, spec: Detection, size: tuple[int, int]) -> tuple[Boxes, NDArray[Any]]:
    """`decode_offsets` of all default boxes."""
    anchors = default_boxes(spec)
    shapes = [output.shape for output in outputs]
    fits = len(shapes) == 2 and all(len(s) == 3 and s[1] == len(anchors) for s in shapes)
    if not fits or shapes[1][2] != 4:
        raise _unlike(f"class scores and offsets of {len(anchors)} boxes", shapes)
    return decode_offsets(outputs[1], anchors, spec.variances, size), outputs[0]


def decode_offsets(
    offsets: NDArray[Any], anchors: Boxes, variances: tuple[float, float], size: tuple[int, int]
) -> Boxes:
    """SSD's offsets (N, boxes, 4) of default boxes (boxes, 4) as corners in pixels.

    Liu et al. 2016, equation 2, turned round, with the offsets scaled by `variances`.
    """
    middle = anchors[:, :2] + offsets[:, :, :2] * np.float32(variances[0]) * anchors[:, 2:]
    grown = np.minimum(offsets[:, :, 2:] * np.float32(variances[1]), _MOST_LOGARITHM)
    half = np.exp(grown) * anchors[:, 2:] / 2
    height, width = size
    corners = np.concatenate([middle - half, middle + half], axis=2)
    boxes: Boxes = (corners * np.array([width, height] * 2)).astype(np.float32)
    return boxes


@lru_cache(maxsize=8)
def default_boxes(spec: Detection) -> Boxes:
    """SSD's default boxes, float32 (boxes, 4): centre x, centre y, width, height as shares of the
    image; by map, then row, then column, then shape.
    """
    parts = []
    for item in spec.maps:
        y, x = (
            (np.arange(side) + 0.5) / count
            for side, count in zip(item.grid, item.cells, strict=True)
        )
        shapes = np.array(item.shapes)
        part = np.empty((len(y), len(x), len(shapes), 4), dtype=np.float32)
        part[..., 0] = x[None, :, None]
        part[..., 1] = y[:, None, None]
        part[..., 2:] = shapes
        parts.append(part.reshape(-1, 4))
    return np.concatenate(parts)


def _nanodet(
    outputs: Outputs, spec: Detection, size: tuple[int, int]
) -> tuple[Boxes, NDArray[Any]]:
    """Each side's distance from the cell's centre is the mean of a distribution over whole strides.

    Li et al. 2020, arXiv:2006.04388, equation 5.
    """
    boxes, scores = [], []
    for stride, score, logits in _levels(outputs, spec, size):
        batch, cells, _ = logits.shape
        logits = logits.reshape(batch, cells, 4, spec.bins).astype(np.float32, copy=False)
        distances = _softmax(logits) @ np.arange(spec.bins, dtype=np.float32) * stride
        centres = _centres(stride, size)
        boxes.append(
            np.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=2)
        )
        scores.append(score)
    return np.concatenate(boxes, axis=1), np.concatenate(scores, axis=1)


def _levels(
    outputs: Outputs, spec: Detection, size: tuple[int, int]
) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """Stride, scores and distances of each level, whatever the order of the graph's outputs."""
    shapes = [output.shape for output in outputs]
    for stride in spec.strides:
        cells = len(_centres(stride, size))
        pair = [item for item in outputs if item.ndim == 3 and item.shape[1] == cells]
        # Scores come first; but where only one of the two can be the distances, it is.
        pair.sort(key=lambda item: item.shape[2] == 4 * spec.bins)
        if len(pair) != 2 or pair[1].shape[2] != 4 * spec.bins:
            raise _unlike(f"scores and 4 x {spec.bins} bins of {cells} cells", shapes)
        yield stride, pair[0], pair[1]


@lru_cache(maxsize=32)
def _centres(stride: int, size: tuple[int, int]) -> Boxes:
    """The middle (x, y) of every cell in pixels, by row, then column; (cells, 2)."""
    rows, columns = (-(-side // stride) for side in size)
    y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    centres: Boxes = ((np.stack([x, y], axis=2).reshape(-1, 2) + 0.5) * stride).astype(np.float32)
    return centres


def _unlike(wanted: str, shapes: Sequence[tuple[int, ...]]) -> ContractError:
    given = ", ".join("x".join(str(size) for size in shape) for shape in shapes)
    return ContractError(
        f"outputs of {given}, where the contract says {wanted}",
        hint="the description belongs to another detector or input size: export it again",
    )


def _activated(raw: Scores, spec: Detection) -> Scores:
    if spec.activation == "sigmoid":
        return (1 / (1 + np.exp(-raw))).astype(np.float32)
    if spec.activation == "softmax":
        return _softmax(raw)
    return raw.copy()


def _softmax(values: Scores) -> Scores:
    raised: Scores = np.exp(values - values.max(axis=-1, keepdims=True))
    raised /= raised.sum(axis=-1, keepdims=True)
    return raised


def _in_frame(boxes: Boxes, contract: Contract, frame_shape: tuple[int, int]) -> Boxes:
    """From pixels of the input to pixels of the frame, cut at its edges."""
    height, width = frame_shape
    place = placement(height, width, contract.preprocess)
    start = np.array([place.start_x, place.start_y] * 2)
    moved = (boxes + start) / np.array([place.scale_x, place.scale_y] * 2)
    inside: Boxes = np.clip(moved, 0, [width, height] * 2).astype(np.float32)
    return inside


def _best(
    boxes: Boxes, scores: Scores, spec: Detection
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows and classes of the boxes that stay, best first."""
    seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True)  # not beyond the frame's edge
    rows, classes = np.nonzero((scores >= spec.score_threshold) & (scores > 0) & seen)
    order = np.argsort(-scores[rows, classes], kind="stable")[:_MOST_CANDIDATES]
    rows, classes = rows[order], classes[order]
    kept = [
        places[suppressed(boxes[rows[places]], spec.iou_threshold)]
        for places in (np.flatnonzero(classes == index) for index in np.unique(classes))
    ]
    chosen = np.sort(np.concatenate([np.empty(0, np.intp), *kept]))[: spec.max_boxes]
    return rows[chosen], classes[chosen].astype(np.int64)


def suppressed(boxes: Boxes, iou_threshold: float) -> NDArray[np.intp]:
    """Which of some boxes (n, 4), best first, stay: each overlaps no better one that stays by more
    than the threshold. Their places, in order.
    """
    overlaps = iou(boxes, boxes) > iou_threshold
    stays = np.ones(len(boxes), dtype=bool)
    for place in range(len(boxes)):
        if stays[place]:
            stays[place + 1 :] &= ~overlaps[place, place + 1 :]
    return np.flatnonzero(stays)


def iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes (n, 4) and (m, 4), float64 (n, m)."""
    a, b = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.maximum(sides, 0).prod(axis=2)
    union = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2) - common
    overlaps: NDArray[np.float64] = common / np.where(union > 0, union, 1)
    return overlaps


def agreeing(wanted: Detections, given: Detections, *, least_iou: float = 0.8) -> int:
    """How many boxes of `wanted` have one of their own in `given`: same class, IoU at least
    `least_iou`; the best scores choose first.
    """
    fits = iou(wanted.boxes, given.boxes)
    fits[wanted.classes[:, None] != given.classes[None]] = 0
    found = 0
    for row in fits:
        if row.size and row.max() >= least_iou:
            fits[:, int(row.argmax())] = 0
            found += 1
    return found
