"""From what people want to profile to files: a file, a network's name, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.datasets.calibration import open_calibration
from edgecnn.errors import DataError
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.pipeline.sources import file_stem
from edgecnn.pipeline.task import target_name
from edgecnn.pipeline.writing import tool_versions
from edgecnn.runtime.cache import cache_dir, model_file

STANDING = (
    "mobilenetv2",
    "mobilenetv3_large",
    "resnet18",
    "resnet50",
    "vgg16",
    "googlenet",
    "efficientnet_lite0",
)

_CALIBRATION = "natural:64"  # drawn: the same on every machine
_TARGETS = {"openvino": "openvino", "tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt"}


def profile_subjects(
    subjects: Sequence[str], *, engine: str, seed: int, narrator: Narrator
) -> tuple[Path, ...]:
    """The files that are meant; of a network both, FP32 and INT8, which are made once.

    Nothing at all means the standing comparison. Raises UsageError for a name that nobody has.
    """
    files: list[Path] = []
    for subject in subjects or STANDING:
        is_file = subject.lower().endswith(".onnx") or Path(subject).is_file()
        files += [Path(subject)] if is_file else _pair(subject, engine, seed, narrator)
    return tuple(files)


def refuse_all_random(files: Sequence[Path]) -> None:
    """Raise DataError where no file's accuracy could be measured, since all weights are random."""
    if files and all(read_contract(path).random_weights for path in files):
        raise DataError(
            f"{files[0]}: its weights are random, so it has no accuracy to choose by",
            hint="export networks with real weights: edgecnn export MODEL --weights official",
        )


def _pair(model: str, engine: str, seed: int, narrator: Narrator) -> tuple[Path, Path]:
    """A network's FP32 and INT8 files from the cache, where they are made when they must."""
    stem, weights = file_stem(model), _weights(model)
    integers = QuantizeOptions(effort="fast", target=_TARGETS.get(engine))
    key = {
        "model": model if ":" in model else stem,
        "weights": weights or "official",
        "calibration": _CALIBRATION,
        "effort": integers.effort,
        "target": target_name(integers),
        "seed": str(seed),
        **tool_versions("torch", "onnx", "onnxruntime"),
    }
    plain = model_file(stem, key)
    int8 = plain.with_suffix(".int8.onnx")
    if not plain.exists():
        options = ExportOptions(weights=weights, seed=seed)
        export(model, output=plain, options=options, narrator=narrator)
    if not int8.exists():
        images = open_calibration(_CALIBRATION, seed=seed)
        quantize(plain, images, options=integers, output=int8, force=True, narrator=narrator)
    return plain, int8


def _weights(model: str) -> str | None:
    """What is on this machine for a network of the zoo; libraries know where theirs are."""
    if ":" in model:
        return None
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.weights import local_choice

    return local_choice(find(model), cache=cache_dir())
