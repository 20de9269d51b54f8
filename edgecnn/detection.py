"""What a runtime must know to turn a detector's raw outputs into boxes.

It is a part of the contract. Standard library only, so that any device can read it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from edgecnn.errors import ContractError

Decoder = Literal["nanodet", "ssd"]
Activation = Literal["none", "sigmoid", "softmax"]

MAX_BOXES = 1_000_000
_MAX_SIDE = 4096

_HINT = "thresholds are 0 to 1, sizes above zero; recipes/nanodet-int8.toml is an example"


@dataclass(frozen=True, slots=True)
class BoxMap:
    """One of SSD's maps: its rows and columns, and the default boxes in each of its cells.

    The centre of a cell is `(index + 0.5) / cells`, a share of the image, for y and for x;
    `shapes` are the (width, height) of the boxes there, as shares of the image up to 1.
    """

    grid: tuple[int, int]
    cells: tuple[float, float]
    shapes: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """How a detector answers.

    `ssd` (Liu et al. 2016, arXiv:1512.02325): class scores (N, boxes, classes) and offsets
    (N, boxes, 4) of the default boxes of `maps`; `variances` scale the offsets of the centre and of
    the logarithmic size.

    `nanodet` (Li et al. 2020, arXiv:2006.04388): for each of `strides`, in pixels of the input,
    class scores (N, cells, classes) and, for the distances to the left, top, right and bottom
    side, one logit for each of `bins` whole strides (N, cells, 4 * bins).

    `activation` turns scores into shares of 1 (`none` where the graph does it), `background` is
    the class that means no object. Boxes below `score_threshold` are dropped, then those that
    overlap a better one of their class by more than `iou_threshold`; at most `max_boxes` stay.
    """

    decoder: Decoder
    activation: Activation = "none"
    background: int | None = None
    score_threshold: float = 0.3
    iou_threshold: float = 0.5
    max_boxes: int = 100
    strides: tuple[int, ...] = ()
    bins: int = 8
    variances: tuple[float, float] = (0.1, 0.2)
    maps: tuple[BoxMap, ...] = ()

    def __post_init__(self) -> None:
        problem = _word_problem(self) or _number_problem(self) or _place_problem(self)
        if problem:
            raise ContractError(f"detection: {problem}", hint=_HINT)


def _word_problem(spec: Detection) -> str | None:
    for name, value, words in (
        ("decoder", spec.decoder, Decoder),
        ("activation", spec.activation, Activation),
    ):
        if value not in get_args(words):
            return f"{name} {value!r:.40} is none of {', '.join(get_args(words))}"
    return None


def _number_problem(spec: Detection) -> str | None:
    for name in ("score_threshold", "iou_threshold"):
        if not _is_number(getattr(spec, name), 0, 1):
            return f"{name} {getattr(spec, name)!r:.40} is not 0 to 1"
    if not _is_whole(spec.max_boxes, MAX_BOXES):
        return f"max_boxes {spec.max_boxes!r:.40} is not 1 to {MAX_BOXES}"
    if spec.background is not None and not _is_whole(spec.background, MAX_BOXES, least=0):
        return f"background {spec.background!r:.40} is no class"
    if len(spec.variances) != 2 or not all(_is_number(item, 1e-6, 1e6) for item in spec.variances):
        return f"variances {spec.variances!r:.60} are not two numbers above zero"
    return None


def _place_problem(spec: Detection) -> str | None:
    if not _is_whole(spec.bins, 256) or spec.bins < 2:
        return f"bins {spec.bins!r:.40} is not 2 to 256"
    if not all(_is_whole(stride, _MAX_SIDE) for stride in spec.strides):
        return f"strides {spec.strides!r:.60} are not pixels"
    if spec.decoder == "nanodet" and not spec.strides:
        return "nanodet without strides"
    if spec.decoder == "ssd" and not spec.maps:
        return "ssd without maps"
    return next((problem for item in spec.maps if (problem := _map_problem(item))), None)


def _map_problem(item: BoxMap) -> str | None:
    sizes = [size for shape in item.shapes for size in shape]
    if len(item.grid) != 2 or not all(_is_whole(side, _MAX_SIDE) for side in item.grid):
        return f"map of {item.grid!r:.60} cells"
    if len(item.cells) != 2 or not all(_is_number(count, 1e-3, 1e6) for count in item.cells):
        return f"map with {item.cells!r:.60} cells to the image"
    if not sizes or not all(_is_number(size, 1e-6, 1) for size in sizes):
        return "map whose boxes are not shares of the image"
    if item.grid[0] * item.grid[1] * len(item.shapes) > MAX_BOXES:
        return f"map of more than {MAX_BOXES} boxes"
    return None


def _is_number(value: object, least: float, most: float) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value) and least <= value <= most


def _is_whole(value: object, most: int, *, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def detection_from_dict(values: Mapping[str, Any]) -> Detection:
    """A Detection from plain JSON or TOML values; raises ContractError or TypeError."""
    maps = tuple(_box_map(item) for item in values.get("maps", ()))
    return Detection(**_arguments(Detection, {**values, "maps": maps}))


def _box_map(values: Mapping[str, Any]) -> BoxMap:
    arguments = _arguments(BoxMap, values)
    arguments["shapes"] = tuple((width, height) for width, height in arguments["shapes"])
    return BoxMap(**arguments)


def _arguments(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - {item.name for item in dataclasses.fields(kind)})
    if unknown:
        raise ContractError(f"detection: unknown key {unknown[0]!r:.40}", hint=_HINT)
    return {key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}
