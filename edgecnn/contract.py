"""The contract: what a model needs and promises; inside its ONNX file it is one JSON document.

These are the words that all rooms share. Standard library only, so that any device can read them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from edgecnn.detection import Detection
from edgecnn.errors import ContractError
from edgecnn.melspectrogram import MelSpectrogram

METADATA_KEY = "edgecnn"

Color = Literal["RGB", "BGR", "GRAY"]
Filter = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
Layout = Literal["NCHW", "NHWC"]
Task = Literal["classification", "segmentation", "detection", "embedding"]
Dimension = int | str

MAX_SIDE = 16_384
MAX_LABELS = 1_000_000

_LARGEST = 1e6  # of scale, mean and std: beyond it float32 has nothing left for the pixels

DAMAGED = "export or quantize the model again; the contract is not meant to be edited by hand"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype (NumPy's word for it) and shape of a tensor; a named dimension is dynamic."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    @property
    def batch(self) -> int | None:
        """The fixed batch size, or None where it is dynamic."""
        return self.shape[0] if self.shape and isinstance(self.shape[0], int) else None


@dataclass(frozen=True, slots=True)
class Preprocess:
    """From a uint8 image of any size to the network's input, in this order.

    0. `melspectrogram`: what is given is a sound; it becomes a picture, which is then an image.
    1. `crop_fraction`: keep the centred square of that share of the short side (TensorFlow's way).
    2. `resize`: bring the short side to that many pixels; without it, stretch to `size`.
       Or `pad`: make the whole image fit into `size`, in the middle of that gray (0 to 255).
    3. cut the centred `size` (height, width) out of it (torchvision's way).
    4. `color`, then `(pixel * scale - mean) / std` for each channel, then `layout`.
    """

    size: tuple[int, int]
    resize: int | None = None
    crop_fraction: float | None = None
    filter: Filter = "bilinear"
    antialias: bool = True
    color: Color = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    layout: Layout = "NCHW"
    pad: int | None = None
    melspectrogram: MelSpectrogram | None = None

    def __post_init__(self) -> None:
        problem = _preprocess_problem(self)
        if problem:
            raise ContractError(f"preprocessing: {problem}", hint=_PREPROCESS_HINT)

    @property
    def channels(self) -> int:
        """How many channels the input has."""
        return 1 if self.color == "GRAY" else 3

    def tensor_shape(self, *, batch: int = 1) -> tuple[int, int, int, int]:
        """The shape of a preprocessed batch."""
        height, width = self.size
        if self.layout == "NCHW":
            return (batch, self.channels, height, width)
        return (batch, height, width, self.channels)


_PREPROCESS_HINT = "sizes are pixels, mean and std have one number a channel, std is above zero"


def _preprocess_problem(spec: Preprocess) -> str | None:
    """The first thing wrong with a preprocessing, or None."""
    return _geometry_problem(spec) or _word_problem(spec) or _number_problem(spec)


def _geometry_problem(spec: Preprocess) -> str | None:
    sides = (*spec.size, spec.resize if spec.resize is not None else 1)
    if len(spec.size) != 2 or not all(_is_side(side) for side in sides):
        return f"size {spec.size} or resize {spec.resize} is not 1 to {MAX_SIDE} pixels"
    if spec.resize is not None and spec.resize < max(spec.size):
        return f"resize {spec.resize} is smaller than the crop {spec.size}"
    if spec.crop_fraction is not None and not 0 < spec.crop_fraction <= 1:
        return f"crop_fraction {spec.crop_fraction} is not above 0 and up to 1"
    return None if spec.pad is None else _pad_problem(spec)


def _pad_problem(spec: Preprocess) -> str | None:
    gray = isinstance(spec.pad, int) and not isinstance(spec.pad, bool) and 0 <= spec.pad <= 255
    if not gray:
        return f"pad {spec.pad!r:.40} is not a gray of 0 to 255"
    if spec.resize is not None or spec.crop_fraction is not None:
        return "pad keeps the whole image: it goes with neither resize nor crop_fraction"
    return None


def _word_problem(spec: Preprocess) -> str | None:
    choices = (
        ("filter", spec.filter, Filter),
        ("color", spec.color, Color),
        ("layout", spec.layout, Layout),
        ("antialias", spec.antialias, Literal[True, False]),
    )
    for name, value, words in choices:
        if value not in get_args(words):
            return f"{name} {value!r} is none of {', '.join(map(str, get_args(words)))}"
    return None


def _number_problem(spec: Preprocess) -> str | None:
    if not len(spec.mean) == len(spec.std) == spec.channels:
        return f"mean {spec.mean} and std {spec.std} need {spec.channels} numbers each"
    if not all(abs(number) <= _LARGEST for number in (spec.scale, *spec.mean, *spec.std)):
        return f"scale, mean and std must be numbers up to {_LARGEST:g}"
    if not min(spec.scale, *spec.std) >= 1 / _LARGEST:
        return f"scale {spec.scale} and std {spec.std} must be above zero"
    return None


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIDE


@dataclass(frozen=True, slots=True)
class Golden:
    """A small image and what the model must answer to it, so that a device can prove itself.

    `image` is base64 of the zlib-compressed uint8 HWC RGB pixels, `image_shape` its (H, W, 3);
    `top` holds (class index, output value) pairs, best first; an answer is right when the best
    class agrees and every listed output lies within `tolerance` (absolute) of its value.
    """

    image: str
    image_shape: tuple[int, int, int]
    top: tuple[tuple[int, float], ...]
    tolerance: float

    def __post_init__(self) -> None:
        height, width, channels = self.image_shape
        if channels != 3 or not (1 <= height <= 1024 and 1 <= width <= 1024):
            raise ContractError(f"golden image of shape {self.image_shape}", hint=DAMAGED)
        if not self.top or not math.isfinite(self.tolerance) or self.tolerance < 0:
            raise ContractError("golden check without answers or tolerance", hint=DAMAGED)


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything about a model that is not its graph; `detection` is there for detectors alone.

    `provenance` is plain JSON: model, weights (source, sha256), tools' versions, the steps with
    their options, the calibration set's sha256, measured accuracy where there is one.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocess: Preprocess
    task: Task = "classification"
    labels: tuple[str, ...] = ()
    golden: Golden | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    detection: Detection | None = None

    def __post_init__(self) -> None:
        if not self.inputs or not self.outputs:
            raise ContractError("contract without inputs or outputs", hint=DAMAGED)
        if self.task not in get_args(Task):
            raise ContractError(
                f"unknown task {self.task!r}", hint="this file needs a newer edgecnn"
            )
        if len(self.labels) > MAX_LABELS:
            raise ContractError(f"{len(self.labels)} labels", hint=DAMAGED)
        if (self.task == "detection") != (self.detection is not None):
            raise ContractError(
                f"task {self.task} {'without' if self.detection is None else 'with'} a description "
                "of its boxes",
                hint=DAMAGED,
            )

    @property
    def name(self) -> str:
        """The model's name, or 'model' where nobody gave one."""
        return str(self.provenance.get("model", "model"))

    @property
    def names_one(self) -> bool:
        """Whether the largest output is the answer: of maps and embeddings it says nothing."""
        return self.task in ("classification", "detection")

    @property
    def random_weights(self) -> bool:
        """Whether the weights are random, so that no accuracy may be printed."""
        weights = self.provenance.get("weights")
        return isinstance(weights, Mapping) and weights.get("source") == "random"

    def label(self, index: int) -> str:
        """The name of a class, or its number where there is no name."""
        return self.labels[index] if 0 <= index < len(self.labels) else f"class {index}"
