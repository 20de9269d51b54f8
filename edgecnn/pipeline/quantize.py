"""The second arrow: a float file becomes an INT8 file, calibrated on images and checked on them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.files import human_size, sha256_of, write_text
from edgecnn.graph.opset import OLD_OPSET
from edgecnn.graph.quantize import Quantized
from edgecnn.graph.targets import find_target
from edgecnn.pipeline.contracts import float_contract, tell_judged
from edgecnn.pipeline.doctor import Checkup
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.task import QuantizeOptions as QuantizeOptions
from edgecnn.pipeline.task import Task, target_name
from edgecnn.pipeline.verdicts import check_held, tell
from edgecnn.pipeline.verified import Sealed, Verification, tell_check
from edgecnn.pipeline.writing import Draft, next_draft
from edgecnn.runtime.usage import peak_rss_bytes


@dataclass(frozen=True, slots=True)
class QuantizeResult:
    """What came of a quantization.

    `checkup` is of the calibration set; `verification` what the written file did.
    """

    source: Path
    path: Path
    contract: Contract
    quantized: Quantized
    target: str
    calibration_images: int
    wall_s: float
    peak_rss_bytes: int | None
    checkup: Checkup
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
    for path in (target, ranges_path(target)):
        check_target(path, force=force, source=source)
    contract = float_contract(source, options.contract)
    tell_judged(source, contract, narrator)
    task = Task(source, target, contract, images, options, narrator)
    checkup = task.look()
    quantized, outcome = task.quantized()
    with Sealed(quantized, _draft(source, contract, images, quantized, options), target) as sealed:
        verification = task.verified(quantized, sealed, outcome)
        tell_check(verification, contract, narrator, effort=options.effort)
        if outcome is not None and options.budget is not None:
            tell(outcome, narrator, accept_loss=options.budget.accept_loss)
            check_held(outcome, accept_loss=options.budget.accept_loss)
        contract = sealed.release(verification)
    write_text(ranges_path(target), quantized.ranges.to_json())
    name = target_name(options)
    _tell_opset(quantized, name, narrator)
    task.finished()
    size = human_size(target.stat().st_size)
    narrator.line("wrote", f"{target}  {size}   for {find_target(name).description}")
    return QuantizeResult(
        source=source,
        path=target,
        contract=contract,
        quantized=quantized,
        target=name,
        calibration_images=images.count,
        wall_s=time.perf_counter() - started_s,
        peak_rss_bytes=peak_rss_bytes(),
        checkup=checkup,
        verification=verification,
    )


def _tell_opset(quantized: Quantized, target: str, narrator: Narrator) -> None:
    if find_target(target).opset_17 and quantized.opset > OLD_OPSET:
        narrator.warn(
            f"opset {quantized.opset}: the network has operators that opset {OLD_OPSET} does not "
            "know; TensorRT 8.6 to 10.3 may refuse the file"
        )


def ranges_path(int8: Path) -> Path:
    """Where the ranges of an INT8 file lie, to be reused: beside it."""
    return int8.with_name(f"{int8.stem}.ranges.json")


def _draft(
    source: Path,
    contract: Contract,
    images: CalibrationSet,
    quantized: Quantized,
    options: QuantizeOptions,
) -> Draft:
    step: dict[str, Any] = {
        "step": "quantize",
        "target": target_name(options),
        "method": quantized.ranges.method,
        "effort": options.effort,
        "per_tensor": options.per_tensor,
        "seed": options.seed,
        "kept": [step.name for step in quantized.steps if step.kept],
        "float_layers": list(quantized.float_layers),
        "source_sha256": sha256_of(source),
    }
    calibration = {"name": images.name, "images": images.count, "sha256": images.sha256}
    return next_draft(contract, step, precision="int8", calibration=calibration)
