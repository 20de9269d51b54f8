"""Detectors answer for the boxes that their papers, and torchvision's weights, mean."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edgecnn.errors import UsageError
from edgecnn.runtime.detections import default_boxes
from edgecnn.zoo import find
from edgecnn.zoo.randomize import random_network
from edgecnn.zoo.ssd import SSD


def built(name: str, *, num_classes: int = 91) -> SSD:
    """A detector without its weights, for images of an empty batch."""
    with torch.device("meta"):
        network = find(name).build(num_classes=num_classes)
    assert isinstance(network, SSD)
    return network.to_empty(device="cpu").eval()


def boxes_of(name: str) -> Tensor:
    """The boxes that the answers are about, as the runtime has them from the network's contract."""
    detection = built(name).detection(find(name).preprocess.size)
    return torch.from_numpy(default_boxes(detection))


@pytest.mark.parametrize(
    ("name", "count"), [("ssd300_vgg16", 8732), ("ssdlite320_mobilenetv3", 3234)]
)
def test_every_answer_has_its_box(name: str, count: int) -> None:
    logits, offsets = built(name)(torch.empty(find(name).preprocess.tensor_shape(batch=0)))
    assert logits.shape == (0, count, 91)
    assert offsets.shape == (0, count, 4)
    boxes = boxes_of(name)
    assert boxes.shape == (count, 4)
    assert boxes.dtype == torch.float32
    assert bool((boxes > 0).all())
    assert bool((boxes[:, 2:] <= 1).all())
    # Ten steps of 32 pixels are more than 300: a few centres lie just outside, as in the paper.
    assert float(boxes[:, :2].max()) < 1.02


def test_boxes_run_over_shapes_then_columns_then_rows_then_maps() -> None:
    boxes = boxes_of("ssdlite320_mobilenetv3")
    centres = boxes[:, :2]
    assert centres[:6].tolist() == [pytest.approx([0.025, 0.025])] * 6
    assert centres[6].tolist() == pytest.approx([0.075, 0.025])
    assert centres[6 * 20].tolist() == pytest.approx([0.025, 0.075])
    assert centres[6 * 400].tolist() == pytest.approx([0.05, 0.05])
    between = math.sqrt(0.2 * 0.35)
    wide, wider = math.sqrt(2), math.sqrt(3)
    assert boxes[:6, 2:].tolist() == [
        pytest.approx(shape)
        for shape in (
            [0.2, 0.2],
            [between, between],
            [0.2 * wide, 0.2 / wide],
            [0.2 / wide, 0.2 * wide],
            [0.2 * wider, 0.2 / wider],
            [0.2 / wider, 0.2 * wider],
        )
    ]


def test_cells_of_ssd300_are_steps_of_whole_pixels() -> None:
    boxes = boxes_of("ssd300_vgg16")
    assert boxes[0].tolist() == pytest.approx([4 / 300, 4 / 300, 0.07, 0.07])
    assert boxes[4].tolist() == pytest.approx([12 / 300, 4 / 300, 0.07, 0.07])
    # The coarsest map has one cell; its boxes do not reach beyond the image.
    assert boxes[-4:, :2].tolist() == [[0.5, 0.5]] * 4
    assert boxes[-2].tolist() == pytest.approx([0.5, 0.5, 1.0, 0.87 / math.sqrt(2)])


def test_an_answer_belongs_to_the_box_of_its_place() -> None:
    torch.manual_seed(0)
    network = find("ssdlite320_mobilenetv3").build(num_classes=3).eval()
    assert isinstance(network, SSD)
    head = network.head.get_submodule("classification_head")
    maps = [torch.zeros(1, channels, side, side) for channels, side in
            zip((672, 480, 512, 256, 256, 128), (20, 10, 5, 3, 2, 1), strict=True)]  # fmt: skip
    with torch.no_grad():
        before = head(maps)
        maps[1][0, :, 4, 7] = 1e3
        changed = (head(maps) != before).any(2)[0].nonzero().flatten()
    near = boxes_of("ssdlite320_mobilenetv3")[changed, :2]
    assert bool((near[:, 0] - 0.75).abs().max() < 0.11)  # column 7 of 10, and its neighbours
    assert bool((near[:, 1] - 0.45).abs().max() < 0.11)


@pytest.mark.parametrize("size", [(96, 96), (320, 320), (160, 224), (100, 333)])
def test_the_description_follows_the_size_of_the_image(size: tuple[int, int]) -> None:
    network = built("ssdlite320_mobilenetv3", num_classes=3)
    _, offsets = network(torch.empty(0, 3, *size))
    boxes = default_boxes(network.detection(size))
    assert boxes.shape == tuple(offsets.shape[1:])


def test_ssd300_has_boxes_for_its_own_size_only() -> None:
    with pytest.raises(UsageError, match="made for 300x300 pixels"):
        built("ssd300_vgg16").detection((512, 512))


def test_random_detectors_begin_with_the_papers_scale() -> None:
    network = random_network(find("ssdlite320_mobilenetv3"), seed=0)
    logits, offsets = network(torch.zeros(1, 3, 320, 320))
    assert bool(torch.isfinite(logits).all() & torch.isfinite(offsets).all())
    backbone = built("ssd300_vgg16").get_submodule("backbone")
    backbone.reset_parameters()  # type: ignore[operator]
    assert backbone.scale_weight.unique().tolist() == [20.0]  # type: ignore[operator]
