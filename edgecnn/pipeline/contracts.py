"""Where a file's contract comes from: the file itself, or what is said by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.contract import (
    Color,
    Contract,
    Filter,
    Layout,
    Preprocess,
    Task,
    TensorSpec,
)
from edgecnn.datasets.classes import ClassNames
from edgecnn.detection import Detection
from edgecnn.errors import ContractError, DataError, ModelError, UsageError
from edgecnn.files import read_error
from edgecnn.onnxfile import read_contract, read_header
from edgecnn.onnxheader import Header
from edgecnn.pipeline.boxes import describe
from edgecnn.pipeline.narrator import Narrator
from edgecnn.runtime.fit import class_count
from edgecnn.runtime.results import is_map

_CROP_SHARE = 0.875  # of the resized short side: what ImageNet evaluation has always cut out


@dataclass(frozen=True, slots=True)
class ContractOptions:
    """How the images of a file are prepared, as said by hand; None is 'not said'.

    `mean` and `std` are in units of 0..1, or of 0..255 where a number is above 2; `detection` is
    what `Detection` holds, with its `decoder` at least; `embedding` says that the answer is a
    vector and names nothing.
    """

    size: tuple[int, int] | None = None
    resize: int | None = None
    crop_fraction: float | None = None
    filter: Filter | None = None
    antialias: bool | None = None
    color: Color | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    layout: Layout | None = None
    pad: int | None = None
    labels: Path | None = None
    detection: Mapping[str, Any] | None = None
    embedding: bool | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Only what was said."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def contract_of(path: Path, options: ContractOptions) -> Contract:
    """The contract in a file, changed by what was said; or made from it where there is none.

    Raises ContractError where the file has none and too little was said.
    """
    header = read_header(path)
    if "edgecnn" in header.metadata:
        return _changed(read_contract(path), options)
    if not options.given:
        return read_contract(path)  # raises, with the advice
    return contract_from_options(header, options, name=path.stem)


def float_contract(source: Path, options: ContractOptions) -> Contract:
    """As `contract_of`, for a file that is to be quantized; ModelError where it is already."""
    if read_header(source).quantized:
        raise ModelError(
            f"{source}: it is quantized already", hint="give the float file that it came from"
        )
    return contract_of(source, options)


def contract_from_options(header: Header, options: ContractOptions, *, name: str) -> Contract:
    """A contract for a graph that carries none."""
    preprocess = _preprocess(header, options, name)
    detection = describe(options.detection, header.outputs, preprocess.size)
    return Contract(
        inputs=header.inputs,
        outputs=header.outputs,
        preprocess=preprocess,
        task="embedding" if options.embedding else task_of(header.outputs, detection),
        detection=detection,
        labels=_labels(options, header.outputs, is_detector=detection is not None),
        provenance={
            "model": name,
            "precision": _precision(header),
            "weights": {"source": "given file"},
        },
    )


def _precision(header: Header) -> str:
    if header.weights_only:
        return "w8"
    return "int8" if header.quantized else "fp32"


def task_of(outputs: tuple[TensorSpec, ...], detection: Detection | None) -> Task:
    """What a network is for, by its description or by the shape of its first output."""
    if detection is not None:
        return "detection"
    return "segmentation" if is_map(outputs[0].shape) else "classification"


def tell_judged(path: Path, contract: Contract, narrator: Narrator) -> None:
    """Warn where a file has several outputs and it is the first that its answers are taken from."""
    first, *others = contract.outputs
    if others and contract.task != "detection":
        shape = "x".join(str(size) for size in first.shape)
        narrator.warn(
            f"{path}: has {1 + len(others)} outputs, and is judged by the first, "
            f"{first.name!r} ({shape})"
        )


def check_same_classes(contracts: Mapping[Path, Contract]) -> None:
    """Raise UsageError where an output of one file means another class than that of the first.

    A label that the other file does not know is believed to say the same in other words, but not
    where that holds for all of them.
    """
    (first, known), *others = contracts.items()
    names = ClassNames(known.labels, None)
    for path, contract in others:
        counts = [class_count(each.outputs[0]) for each in (known, contract)]
        if None not in counts and counts[0] != counts[1]:
            raise UsageError(
                f"their classes differ: {first} has {counts[0]}, {path} {counts[1]}",
                hint="give files of one data set",
            )
        if names.shares_none(contract.labels):
            raise UsageError(
                f"their classes differ: {known.label(0)!r:.40} to {known.labels[-1]!r:.40} in "
                f"{first}, {contract.label(0)!r:.40} to {contract.labels[-1]!r:.40} in {path}",
                hint="if they mean the same, name them once for all files: --labels NAMES.txt",
            )
        moved = names.moved(contract.labels)
        if moved is not None:
            raise UsageError(
                f"their classes differ: {moved} is {known.label(moved)!r:.40} in {first}, "
                f"{contract.label(moved)!r:.40} in {path}",
                hint="give files whose outputs have the same order",
            )


def _changed(contract: Contract, options: ContractOptions) -> Contract:
    said = options.given
    labels = said.pop("labels", None)
    if labels is not None:
        is_detector = contract.detection is not None or "detection" in said
        names = _labels(options, contract.outputs, is_detector=is_detector)
        contract = dataclasses.replace(contract, labels=names)
    if said.pop("detection", None) is not None:
        detection = describe(options.detection, contract.outputs, contract.preprocess.size)
        contract = dataclasses.replace(contract, task="detection", detection=detection, golden=None)
    if said.pop("embedding", None):
        contract = dataclasses.replace(contract, task="embedding", labels=(), detection=None)
    if not said:
        return contract
    color = said.get("color", contract.preprocess.color)
    if "scale" not in said and ("mean" in said) != ("std" in said):
        raise UsageError("--mean and --std go together", hint="their units depend on each other")
    if "mean" in said:
        # The units of the new numbers, not those that the file's own were in.
        said = {"scale": 1 / 255, **_in_units(said)}
    said = _a_channel_each(said, color)
    preprocess = dataclasses.replace(contract.preprocess, **said)
    # The golden answer belongs to the preprocessing that made it.
    return dataclasses.replace(contract, preprocess=preprocess, golden=None)


def _labels(
    options: ContractOptions, outputs: tuple[TensorSpec, ...], *, is_detector: bool
) -> tuple[str, ...]:
    """The class names said by hand; of a classifier there must be one for each output."""
    if options.labels is None:
        return ()
    labels = read_labels(options.labels)
    classes = class_count(outputs[0])
    if not is_detector and classes is not None and classes != len(labels):
        raise DataError(
            f"{options.labels}: {len(labels)} names for {classes} classes",
            hint="one name a line, in the order of the classes",
        )
    return labels


def _preprocess(header: Header, options: ContractOptions, name: str) -> Preprocess:
    if options.mean is None or options.std is None:
        raise ContractError(
            f"{name}: it is not said how its images are normalised",
            hint="say it: --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        )
    said = _in_units(options.given)
    said.pop("labels", None)
    said.pop("embedding", None)
    whole_image = said.pop("detection", None) is not None or "pad" in said
    said.setdefault("layout", _layout(header.inputs[0]))
    if "size" not in said:
        said["size"] = _spatial(header.inputs[0], said["layout"], name)
    said.setdefault("color", "GRAY" if len(said["mean"]) == 1 and _is_gray(header) else "RGB")
    said = _a_channel_each(said, said["color"])
    if "resize" not in said and "crop_fraction" not in said and not whole_image:
        said["resize"] = round(max(said["size"]) / _CROP_SHARE)
    return Preprocess(**said)


def _a_channel_each(said: dict[str, Any], color: Color) -> dict[str, Any]:
    """One mean or std for all channels becomes one for each."""
    channels = 1 if color == "GRAY" else 3
    single = {key: said[key] * channels for key in ("mean", "std") if len(said.get(key, ())) == 1}
    return said | single


def _in_units(said: dict[str, Any]) -> dict[str, Any]:
    """Mean and std above 2 can only be meant in units of 0..255."""
    numbers = (*said.get("mean", ()), *said.get("std", ()))
    if "scale" not in said and any(number > 2 for number in numbers):
        return {**said, "scale": 1.0}
    return dict(said)


def _layout(spec: TensorSpec) -> Layout:
    return "NHWC" if len(spec.shape) == 4 and spec.shape[3] in (1, 3) else "NCHW"


def _spatial(spec: TensorSpec, layout: Layout, name: str) -> tuple[int, int]:
    if len(spec.shape) == 4:
        height, width = spec.shape[2:] if layout == "NCHW" else spec.shape[1:3]
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    raise ContractError(
        f"{name}: its input {spec.name!r} has no fixed height and width", hint="say it: --size 224"
    )


def _is_gray(header: Header) -> bool:
    return 1 in header.inputs[0].shape[1:]


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names, one a line in the order of the classes; raises FileError, DataError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file", hint="one class name a line") from error
    labels = tuple(line.strip() for line in lines if line.strip())
    if not labels:
        raise DataError(f"{path}: no class name in it", hint="one class name a line")
    return labels
