"""The second arrow: a float file becomes an INT8 file, calibrated on images and checked on them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from itertools import islice
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
from edgecnn.pipeline.boxes import compare_boxes
from edgecnn.pipeline.budget import Workshop, keep_budget
from edgecnn.pipeline.contracts import (
    ContractOptions,
    contract_of,
)
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.jury import Budget, make_jury
from edgecnn.pipeline.naming import naming
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.verdicts import Outcome, check_held, tell
from edgecnn.pipeline.verified import Sealed, Verification, tell_check, worst_layer
from edgecnn.pipeline.writing import Draft, tool_versions
from edgecnn.runtime.facts import cpu_flags
from edgecnn.runtime.worker import peak_rss_bytes

HELD_OUT_SHARE = 0.2
MAX_BOX_IMAGES = 64


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """How to quantize; `target` None is the local CPU's, `ranges` a file of an earlier run."""

    target: str | None = None
    method: str = "auto"
    effort: str = "default"
    ranges: Path | None = None
    keep_float: tuple[str, ...] = ()
    budget: Budget | None = None
    seed: int = 0
    contract: ContractOptions = field(default_factory=ContractOptions)


@dataclass(frozen=True, slots=True)
class QuantizeResult:
    """What came of a quantization; `verification` is what the written file did."""

    source: Path
    path: Path
    contract: Contract
    quantized: Quantized
    target: str
    calibration_images: int
    wall_s: float
    peak_rss_bytes: int | None
    verification: Verification


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
    Raises FileError, ModelError, GraphError, DataError or UsageError; BudgetError where a budget
    is missed and the loss not accepted.
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
    task = _Task(source, target, contract, images, options, narrator)
    quantized, outcome = task.quantized()
    with Sealed(quantized, _draft(source, contract, images, quantized, options), target) as sealed:
        verification = task.verified(quantized, sealed, outcome)
        tell_check(verification, narrator)
        if outcome is not None and options.budget is not None:
            tell(outcome, narrator, accept_loss=options.budget.accept_loss)
            check_held(outcome, accept_loss=options.budget.accept_loss)
        contract = sealed.release(verification)
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
        verification=verification,
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


class _Task:
    """One quantization: its images in their two parts, and how candidates are made of them."""

    def __init__(
        self,
        source: Path,
        target: Path,
        contract: Contract,
        images: CalibrationSet,
        options: QuantizeOptions,
        narrator: Narrator,
    ) -> None:
        self._source = source
        self._target = target
        self._contract = contract
        self._options = options
        self._narrator = narrator
        self._sha256 = images.sha256
        fit, self._kept = images.split(HELD_OUT_SHARE, seed=options.seed)
        self._fit, self._held_out = Frames(fit, contract), Frames(self._kept, contract)
        _check_batches(source, contract, images, min(self._fit.count, self._held_out.count))

    def quantized(self) -> tuple[Quantized, Outcome | None]:
        """The candidate to ship, within the budget if there is one."""
        budget = self._options.budget
        jury = (
            make_jury(budget, self._source, self._contract, self._kept, self._narrator)
            if budget
            else None
        )
        ranges = _read_ranges(self._options.ranges) if self._options.ranges else None
        first = self._candidate(self._options.method, ranges)
        _tell_steps(first, self._narrator)
        if jury is None:
            return first, None
        workshop = Workshop(
            source=self._source,
            output=self._target,
            target=_target_name(self._options),
            images=self._fit.tensors,
            requantize=lambda names: self._again(first.ranges, names),
            kept=self._options.keep_float,
        )
        return keep_budget(first, jury, workshop, self._narrator)

    def verified(
        self, quantized: Quantized, sealed: Sealed, outcome: Outcome | None
    ) -> Verification:
        """What the file itself does on the images kept aside."""
        boxes = None
        if self._contract.task == "detection":
            frames = islice(self._kept.images(), MAX_BOX_IMAGES)
            int8 = quantized.model.SerializeToString()
            boxes = compare_boxes(self._source, int8, self._contract, frames)
        return Verification(
            proof=sealed.prove(self._source, self._contract, self._kept),
            worst=worst_layer(self._source, self._contract, self._kept, quantized),
            boxes=boxes,
            budget=outcome,
        )

    def _again(self, ranges: Ranges, names: tuple[str, ...]) -> Quantized:
        """With more nodes in float; what they free may show tensors that have no range yet."""
        try:
            return self._candidate(ranges.method, ranges, names)
        except DataError:
            return self._candidate(ranges.method, None, names)

    def _candidate(
        self, method: str, ranges: Ranges | None, more_float: tuple[str, ...] = ()
    ) -> Quantized:
        with self._narrator.progress("quantize") as progress, naming(self._source):
            return quantize_model(
                self._source,
                self._fit.tensors,
                held_out=self._held_out.tensors,
                count=self._fit.count,
                calibration_sha256=self._sha256,
                target=_target_name(self._options),
                method=method,
                effort=self._options.effort,
                keep_float=(*self._options.keep_float, *more_float),
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
    step: dict[str, Any] = {
        "step": "quantize",
        "target": _target_name(options),
        "method": quantized.ranges.method,
        "effort": options.effort,
        "seed": options.seed,
        "kept": [step.name for step in quantized.steps if step.kept],
        "float_layers": list(quantized.float_layers),
        "source_sha256": sha256_of(source),
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


def _tell_steps(quantized: Quantized, narrator: Narrator) -> None:
    narrator.line("ranges", f"{len(quantized.ranges.by_tensor)} tensors, {quantized.ranges.method}")
    for step in quantized.steps:
        verdict = "kept" if step.kept else "dropped"
        narrator.line(step.name, f"{step.gained_db:+.1f} dB    {verdict}")
