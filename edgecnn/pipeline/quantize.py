"""The second arrow: a float file becomes an INT8 file, calibrated on images and checked on them."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.errors import DataError, FileError, ModelError, UsageError
from edgecnn.files import human_size, read_error, sha256_of, write_text
from edgecnn.graph.quantize import Quantized, quantize_model
from edgecnn.graph.ranges import Ranges
from edgecnn.graph.targets import find_target, x86_target
from edgecnn.onnxfile import read_header
from edgecnn.pipeline.boxes import LEAST_IOU, LEAST_SCORE, BoxCheck, compare_boxes
from edgecnn.pipeline.contracts import (
    ContractOptions,
    contract_of,
)
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.naming import naming
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.writing import Draft, tool_versions, write_model
from edgecnn.runtime.facts import cpu_flags
from edgecnn.runtime.worker import peak_rss_bytes

HELD_OUT_SHARE = 0.2
WARN_AGREEMENT = 0.95
WARN_BOXES = 0.9
MAX_BOX_IMAGES = 64


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """How to quantize; `target` None is the local CPU's, `ranges` a file of an earlier run."""

    target: str | None = None
    method: str = "auto"
    effort: str = "default"
    ranges: Path | None = None
    keep_float: tuple[str, ...] = ()
    seed: int = 0
    contract: ContractOptions = field(default_factory=ContractOptions)


@dataclass(frozen=True, slots=True)
class QuantizeResult:
    """What came of a quantization; `boxes` of a detector."""

    source: Path
    path: Path
    contract: Contract
    quantized: Quantized
    target: str
    calibration_images: int
    wall_s: float
    peak_rss_bytes: int | None
    boxes: BoxCheck | None = None


def quantize(
    source: Path,
    images: CalibrationSet,
    *,
    options: QuantizeOptions | None = None,
    output: Path | None = None,
    force: bool = False,
    narrator: Narrator | None = None,
) -> QuantizeResult:
    """Quantize a float file to INT8 with calibration images and write it with its contract.

    The graph that is checked is the one that is written, on the engine that will run it.
    Raises FileError, ModelError, GraphError, DataError or UsageError.
    """
    options, narrator, started_s = (
        options or QuantizeOptions(),
        narrator or Silent(),
        time.perf_counter(),
    )
    target = output or source.with_name(f"{source.stem}.int8.onnx")
    if target.resolve() == source.resolve():
        raise UsageError(f"{target} would overwrite its own source", hint="name another: -o FILE")
    if options.ranges and options.method != "auto":
        raise UsageError(
            f"{options.ranges} holds ranges already, so method {options.method!r} has no use",
            hint="give one of the two",
        )
    for path in (target, ranges_path(target)):
        check_target(path, force=force)
    contract = _float_contract(source, options.contract)
    _tell_images(images, narrator)
    quantized = _quantized(source, contract, images, options, narrator)
    boxes = _boxes(source, contract, images, quantized, options)
    _tell_steps(quantized, boxes, contract, narrator)
    draft = _draft(source, contract, images, quantized, options)
    if boxes is not None:
        draft.provenance["steps"][-1]["check"]["boxes"] = asdict(boxes)
    contract = write_model(quantized.model.SerializeToString(), target, draft)
    write_text(ranges_path(target), quantized.ranges.to_json())
    target_name = _target_name(options)
    size = human_size(target.stat().st_size)
    narrator.line("wrote", f"{target}  {size}   for {find_target(target_name).description}")
    return QuantizeResult(
        source=source,
        path=target,
        contract=contract,
        quantized=quantized,
        target=target_name,
        calibration_images=images.count,
        wall_s=time.perf_counter() - started_s,
        peak_rss_bytes=peak_rss_bytes(),
        boxes=boxes,
    )


def ranges_path(int8: Path) -> Path:
    """Where the ranges of an INT8 file lie, to be reused: beside it."""
    return int8.with_name(f"{int8.stem}.ranges.json")


def _float_contract(source: Path, options: ContractOptions) -> Contract:
    if read_header(source).quantized:
        raise ModelError(
            f"{source}: it is quantized already", hint="quantize the float file that it came from"
        )
    return contract_of(source, options)


def _target_name(options: QuantizeOptions) -> str:
    return options.target or x86_target(cpu_flags()).name


def _quantized(
    source: Path,
    contract: Contract,
    images: CalibrationSet,
    options: QuantizeOptions,
    narrator: Narrator,
) -> Quantized:
    fit, held_out = (
        Frames(part, contract) for part in images.split(HELD_OUT_SHARE, seed=options.seed)
    )
    _check_batches(source, contract, images, min(fit.count, held_out.count))
    ranges = _read_ranges(options.ranges) if options.ranges else None
    with narrator.progress("quantize") as progress, naming(source):
        return quantize_model(
            source,
            fit.tensors,
            held_out=held_out.tensors,
            count=fit.count,
            calibration_sha256=images.sha256,
            target=_target_name(options),
            method=options.method,
            effort=options.effort,
            keep_float=options.keep_float,
            ranges=ranges,
            progress=progress,
        )


def _check_batches(source: Path, contract: Contract, images: CalibrationSet, runs: int) -> None:
    """A fixed batch needs at least one full run of images on both sides of the split."""
    if runs == 0:
        batch = contract.inputs[0].batch or 1
        raise DataError(
            f"{source}: takes {batch} images a run, and {images.count} images are too few for it",
            hint=f"give {math.ceil(batch / HELD_OUT_SHARE)} images, or export with --batch 1",
        )


def _boxes(
    source: Path,
    contract: Contract,
    images: CalibrationSet,
    quantized: Quantized,
    options: QuantizeOptions,
) -> BoxCheck | None:
    """Of a detector: how many boxes of the float file are found again on the images kept aside."""
    if contract.task != "detection":
        return None
    _, kept = images.split(HELD_OUT_SHARE, seed=options.seed)
    frames = (kept.source.read(member) for member in kept.members[:MAX_BOX_IMAGES])
    return compare_boxes(source, quantized.model.SerializeToString(), contract, frames)


def _read_ranges(path: Path) -> Ranges:
    try:
        return Ranges.from_json(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path}: not a ranges file", hint="it is JSON, written by quantize"
        ) from error


def _draft(
    source: Path,
    contract: Contract,
    images: CalibrationSet,
    quantized: Quantized,
    options: QuantizeOptions,
) -> Draft:
    check = quantized.check
    step: dict[str, Any] = {
        "step": "quantize",
        "target": _target_name(options),
        "method": quantized.ranges.method,
        "effort": options.effort,
        "seed": options.seed,
        "kept": [step.name for step in quantized.steps if step.kept],
        "float_layers": list(quantized.float_layers),
        "source_sha256": sha256_of(source),
        "check": {
            "images": check.n,
            "sqnr_db": round(check.sqnr_db, 2),
            "top1_agreement": round(check.top1_agreement, 4),
        },
    }
    provenance = {
        **contract.provenance,
        "precision": "int8",
        "tools": {
            **contract.provenance.get("tools", {}),
            **tool_versions("onnx", "onnxruntime", "numpy"),
        },
        "calibration": {"name": images.name, "images": images.count, "sha256": images.sha256},
        "steps": [*contract.provenance.get("steps", ()), step],
    }
    return Draft(
        contract.preprocess, provenance, labels=contract.labels, detection=contract.detection
    )


def _tell_images(images: CalibrationSet, narrator: Narrator) -> None:
    alike = f", {images.near_duplicates} near-duplicates" if images.near_duplicates else ""
    narrator.line("calibration", f"{images.count} images from {images.name}{alike}")
    if images.is_random:
        narrator.warn("calibrated on random noise, as asked: real images will lose accuracy")


def remedy(contract: Contract) -> str:
    """What to do about answers that INT8 does not share; no images help random weights."""
    if contract.random_weights:
        return "its weights are random, so that agreement says little"
    return "more or better calibration images may help"


def _tell_steps(
    quantized: Quantized, boxes: BoxCheck | None, contract: Contract, narrator: Narrator
) -> None:
    narrator.line("ranges", f"{len(quantized.ranges.by_tensor)} tensors, {quantized.ranges.method}")
    for step in quantized.steps:
        verdict = "kept" if step.kept else "dropped"
        narrator.line(step.name, f"{step.gained_db:+.1f} dB    {verdict}")
    check = quantized.check
    where = f"INT8 against FP32 on {check.n} images kept aside: SQNR {check.sqnr_db:.1f} dB, "
    if boxes is not None:
        _tell_boxes(boxes, where, contract, narrator)
        return
    narrator.line("check", f"{where}top-1 agreement {check.top1_agreement:.1%}")
    if check.top1_agreement < WARN_AGREEMENT:
        narrator.warn(
            f"top-1 agreement with FP32 is only {check.top1_agreement:.1%}: {remedy(contract)}"
        )


def _tell_boxes(boxes: BoxCheck, where: str, contract: Contract, narrator: Narrator) -> None:
    narrator.line(
        "check",
        f"{where}{boxes.found} of {boxes.boxes} boxes above {LEAST_SCORE:g} found again "
        f"(IoU {LEAST_IOU:g} or more)",
    )
    if boxes.share is None:
        advice = remedy(contract) if contract.random_weights else "use images with objects"
        narrator.warn(f"FP32 finds nothing on the images kept aside: {advice}")
    elif boxes.share < WARN_BOXES:
        narrator.warn(f"only {boxes.share:.1%} of FP32's boxes are found again: {remedy(contract)}")
