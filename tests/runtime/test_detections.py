"""From raw outputs to boxes: every formula against a slow and plain one, every edge by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.detection import BoxMap, Detection
from edgecnn.errors import ContractError
from edgecnn.runtime.detections import (
    Boxes,
    Detections,
    agreeing,
    class_scores,
    decode,
    decode_offsets,
    default_boxes,
    detections,
    iou,
    suppressed,
)

NANODET = Detection("nanodet", strides=(8, 16), bins=8)
SSD = Detection(
    "ssd",
    activation="softmax",
    background=0,
    maps=(
        BoxMap((2, 3), (2.0, 3.0), ((0.5, 0.25), (0.25, 0.5))),
        BoxMap((1, 1), (1, 1), ((1, 1),)),
    ),
)


def contract(spec: Detection, preprocess: Preprocess) -> Contract:
    tensor = TensorSpec("input", "float32", preprocess.tensor_shape())
    return Contract(
        inputs=(tensor,),
        outputs=(tensor,),
        preprocess=preprocess,
        task="detection",
        labels=("cat", "dog", "owl"),
        detection=spec,
    )


def silent_nanodet(size: tuple[int, int]) -> list[np.ndarray]:
    """Outputs that find nothing: scores of both strides, then distances of both."""
    cells = [math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in (8, 16)]
    return [np.zeros((1, count, values), np.float32) for values in (3, 32) for count in cells]


def point(bin_of_side: tuple[int, int, int, int]) -> np.ndarray:
    """Logits that are sure of each side's distance, in strides."""
    logits = np.zeros((4, 8), np.float32)
    logits[np.arange(4), bin_of_side] = 50
    return logits.ravel()


# NanoDet


def test_a_cell_says_how_many_strides_away_each_side_is() -> None:
    outputs = silent_nanodet((64, 96))
    cell = 3 * 12 + 5  # row 3, column 5 of 8 x 12 cells of 8 pixels: its middle is (44, 28)
    outputs[0][0, cell] = 0.1, 0.9, 0.2
    outputs[2][0, cell] = point((1, 2, 3, 4))
    found = detections(outputs, contract(NANODET, Preprocess(size=(64, 96))), (64, 96))
    assert found.names == ("dog",)
    assert found.classes.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.9])
    np.testing.assert_allclose(found.boxes, [[44 - 8, 28 - 16, 44 + 24, 28 + 32]], atol=1e-3)
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_an_unsure_side_is_the_mean_of_its_distribution() -> None:
    outputs = silent_nanodet((64, 96))
    outputs[3][0, 8] = np.tile([0, 0, 9, 9, 0, 0, 0, 0], 4)  # 16-pixel cells: row 1, column 2
    boxes, _ = decode(outputs, NANODET, (64, 96))
    weights = torch.softmax(torch.tensor([0, 0, 9, 9, 0, 0, 0, 0.0]), 0)
    side = 16 * float((weights * torch.arange(8)).sum())
    np.testing.assert_allclose(
        boxes[0, 96 + 8], [40 - side, 24 - side, 40 + side, 24 + side], atol=1e-4
    )


def test_the_order_of_the_outputs_does_not_matter() -> None:
    outputs = silent_nanodet((64, 96))
    rng = np.random.default_rng(0)
    outputs = [rng.random(output.shape).astype(np.float32) for output in outputs]
    a, b = decode(outputs, NANODET, (64, 96)), decode(outputs[::-1], NANODET, (64, 96))
    for first, second in zip(a, b, strict=True):
        np.testing.assert_array_equal(first, second)


def test_sigmoid_where_the_graph_has_none() -> None:
    outputs = silent_nanodet((64, 96))
    spec = dataclasses.replace(NANODET, activation="sigmoid")
    assert (class_scores(outputs, spec, (64, 96)) == 0.5).all()
    assert class_scores(outputs, spec, (64, 96)).shape == (1, 3)


# SSD


def test_default_boxes_run_over_shapes_then_columns_then_rows_then_maps() -> None:
    boxes = default_boxes(SSD)
    assert boxes.shape == (13, 4)
    np.testing.assert_allclose(boxes[0], [1 / 6, 0.25, 0.5, 0.25])
    np.testing.assert_allclose(boxes[1], [1 / 6, 0.25, 0.25, 0.5])
    np.testing.assert_allclose(boxes[2], [0.5, 0.25, 0.5, 0.25])
    np.testing.assert_allclose(boxes[6], [1 / 6, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(boxes[12], [0.5, 0.5, 1, 1])


def test_offsets_move_and_grow_the_default_boxes_as_in_the_paper() -> None:
    rng = np.random.default_rng(1)
    offsets = rng.normal(size=(2, 13, 4)).astype(np.float32)
    ours = decode_offsets(offsets, default_boxes(SSD), (0.1, 0.2), (200, 300))
    d, o = torch.from_numpy(default_boxes(SSD)), torch.from_numpy(offsets)
    centre = o[..., :2] * 0.1 * d[:, 2:] + d[:, :2]
    sides = torch.exp(o[..., 2:] * 0.2) * d[:, 2:]
    corners = torch.cat([centre - sides / 2, centre + sides / 2], 2)
    np.testing.assert_allclose(ours, corners * torch.tensor([300, 200, 300, 200]), rtol=1e-4)


def test_a_hostile_offset_makes_no_infinite_box() -> None:
    boxes = decode_offsets(
        np.full((1, 13, 4), 1e6, np.float32), default_boxes(SSD), (0.1, 0.2), (200, 300)
    )
    assert np.isfinite(boxes).all()


def test_the_background_is_never_found() -> None:
    logits = np.zeros((1, 13, 3), np.float32)
    logits[0, :, 0] = 9
    logits[0, 12] = 0, 0, 4
    outputs = [logits, np.zeros((1, 13, 4), np.float32)]
    found = detections(outputs, contract(SSD, Preprocess(size=(200, 300))), (200, 300))
    assert found.names == ("owl",)
    assert found.scores.tolist() == pytest.approx([math.exp(4) / (2 + math.exp(4))])
    np.testing.assert_allclose(found.boxes, [[0, 0, 300, 200]], atol=1e-3)


# Back to the frame


def test_boxes_are_in_the_frames_own_pixels() -> None:
    outputs = silent_nanodet((64, 96))
    outputs[0][0, 2 * 12 + 3, 0] = 0.9  # its middle is (28, 20)
    outputs[2][0, 2 * 12 + 3] = point((1, 1, 1, 1))
    stretched = detections(outputs, contract(NANODET, Preprocess(size=(64, 96))), (300, 400))
    x, y = 400 / 96, 300 / 64
    np.testing.assert_allclose(stretched.boxes, [[20 * x, 12 * y, 36 * x, 28 * y]], atol=1e-3)
    # The frame fits as 64 x 85, from column 6 on.
    padded = detections(outputs, contract(NANODET, Preprocess(size=(64, 96), pad=0)), (300, 400))
    x = 400 / 85
    np.testing.assert_allclose(padded.boxes, [[14 * x, 12 * y, 30 * x, 28 * y]], atol=1e-3)


def test_boxes_end_at_the_frames_edges() -> None:
    outputs = silent_nanodet((64, 96))
    outputs[0][0, 0, 0] = 0.9
    outputs[2][0, 0] = point((7, 7, 7, 7))
    found = detections(outputs, contract(NANODET, Preprocess(size=(64, 96))), (64, 50))
    np.testing.assert_allclose(found.boxes, [[0, 0, 60 * 50 / 96, 60]], atol=1e-3)


def test_nothing_found_is_an_empty_answer() -> None:
    found = detections(
        silent_nanodet((64, 96)), contract(NANODET, Preprocess(size=(64, 96))), (64, 96)
    )
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert agreeing(found, found) == 0


# Overlaps

CORNERS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 12), st.just(4)),
    elements=st.integers(0, 20).map(float),
)


def tidy(corners: np.ndarray) -> Boxes:
    """Any corners as boxes: left before right, top before bottom."""
    low, high = (
        np.minimum(corners[:, :2], corners[:, 2:]),
        np.maximum(corners[:, :2], corners[:, 2:]),
    )
    return np.concatenate([low, high], axis=1)


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    """By counting whole pixels."""
    pixels = [
        {(x, y) for x in range(int(c[0]), int(c[2])) for y in range(int(c[1]), int(c[3]))}
        for c in (a, b)
    ]
    union = len(pixels[0] | pixels[1])
    return len(pixels[0] & pixels[1]) / union if union else 0.0


@given(CORNERS)
def test_iou_counts_pixels(corners: np.ndarray) -> None:
    boxes = tidy(corners)
    slow = [[slow_iou(a, b) for b in boxes] for a in boxes]
    np.testing.assert_allclose(iou(boxes, boxes), np.reshape(slow, (len(boxes),) * 2), atol=1e-12)


@given(CORNERS, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_every_box_that_goes_overlaps_a_better_one_that_stays(
    corners: np.ndarray, threshold: float
) -> None:
    boxes = tidy(corners)
    stays = suppressed(boxes, threshold).tolist()
    overlaps = iou(boxes, boxes)
    for place in range(len(boxes)):
        rivals = [other for other in stays if other < place and overlaps[other, place] > threshold]
        assert (place in stays) == (not rivals)


def test_overlaps_are_dropped_within_a_class_only() -> None:
    outputs = silent_nanodet((64, 96))
    for cell, scores in ((30, (0.9, 0.8, 0.0)), (31, (0.7, 0.0, 0.0))):
        outputs[0][0, cell] = scores
    outputs[2][0, 30], outputs[2][0, 31] = point((3, 2, 3, 4)), point((4, 2, 2, 4))
    spec = contract(NANODET, Preprocess(size=(64, 96)))
    assert detections(outputs, spec, (64, 96)).names == ("cat", "dog")
    loose = dataclasses.replace(spec, detection=dataclasses.replace(NANODET, iou_threshold=1.0))
    assert detections(outputs, loose, (64, 96)).names == ("cat", "dog", "cat")
    one = dataclasses.replace(spec, detection=dataclasses.replace(NANODET, max_boxes=1))
    assert detections(outputs, one, (64, 96)).names == ("cat",)


def some(*rows: tuple[int, float, tuple[float, float, float, float]]) -> Detections:
    classes, scores, boxes = zip(*rows, strict=True)
    return Detections(
        np.array(boxes, np.float32),
        np.array(scores, np.float32),
        np.array(classes, np.int64),
        tuple(map(str, classes)),
    )


def test_agreement_takes_each_box_once_and_minds_the_class() -> None:
    box, moved = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 11.0)
    twice = some((1, 0.9, box), (1, 0.8, box))
    assert agreeing(twice, some((1, 0.5, moved))) == 1
    assert agreeing(twice, some((1, 0.5, moved), (1, 0.4, box))) == 2
    assert agreeing(twice, some((2, 0.9, box))) == 0
    assert agreeing(twice, some((1, 0.9, (0.0, 0.0, 10.0, 5.0)))) == 0
    assert len(twice.above(0.85)) == 1


# What cannot be


@pytest.mark.parametrize("spec", [NANODET, SSD], ids=["nanodet", "ssd"])
def test_outputs_of_another_detector_are_refused_with_their_shapes(spec: Detection) -> None:
    with pytest.raises(ContractError, match="outputs of 1x7x3, 1x7x4, where the contract says"):
        decode([np.zeros((1, 7, 3)), np.zeros((1, 7, 4))], spec, (64, 96))


def test_a_classifier_finds_no_boxes() -> None:
    plain = dataclasses.replace(
        contract(NANODET, Preprocess(size=(64, 96))), task="classification", detection=None
    )
    with pytest.raises(ContractError, match="a network for classification, which finds no boxes"):
        detections([], plain, (64, 96))
