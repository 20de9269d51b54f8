"""The arrow beside quantize: an FP32 file becomes FP16, an INT8 file INT8 and FP16."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.files import human_size, sha256_of
from edgecnn.graph.half import Halved, Kept, halve_model
from edgecnn.onnxfile import read_header
from edgecnn.pipeline.contracts import ContractOptions, contract_of, float_contract
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.frames import split_frames
from edgecnn.pipeline.naming import naming
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.verified import WARN_AGREEMENT
from edgecnn.pipeline.writing import Draft, next_draft, write_model

_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class HalfOptions:
    """How to convert; `keep_float` names layers that stay in float32 whatever they hold."""

    keep_float: tuple[str, ...] = ()
    seed: int = 0
    contract: ContractOptions = field(default_factory=ContractOptions)


@dataclass(frozen=True, slots=True)
class HalfResult:
    """What came of a conversion."""

    source: Path
    path: Path
    contract: Contract
    halved: Halved
    images: int
    wall_s: float


def half(
    source: Path,
    images: CalibrationSet,
    *,
    options: HalfOptions | None = None,
    output: Path | None = None,
    force: bool = False,
    narrator: Narrator | None = None,
) -> HalfResult:
    """Convert a file to FP16 where images show that its values allow it, and write it.

    Inputs and outputs stay float32. Raises FileError, ModelError, GraphError, DataError,
    ParityError or UsageError.
    """
    options, narrator, started_s = options or HalfOptions(), narrator or Silent(), time.monotonic()
    target = output or source.with_name(f"{source.stem}.fp16.onnx")
    check_target(target, force=force, source=source)
    contract = (
        contract_of(source, options.contract)
        if read_header(source).computes_integers
        else float_contract(source, options.contract)
    )
    halved = _halved(source, contract, images, options, narrator)
    _tell(halved, images, narrator)
    draft = _draft(source, contract, images, halved, options)
    contract = write_model(halved.model.SerializeToString(), target, draft)
    narrator.line("wrote", f"{target}  {human_size(target.stat().st_size)}")
    return HalfResult(
        source=source,
        path=target,
        contract=contract,
        halved=halved,
        images=images.count,
        wall_s=time.monotonic() - started_s,
    )


def _halved(
    source: Path,
    contract: Contract,
    images: CalibrationSet,
    options: HalfOptions,
    narrator: Narrator,
) -> Halved:
    fit, held_out = split_frames(source, images, contract, seed=options.seed)
    with narrator.progress("half") as progress, naming(source):
        return halve_model(
            source,
            fit.tensors,
            held_out=held_out.tensors,
            keep_float=options.keep_float,
            progress=lambda done: progress(done, fit.count),
        )


def _tell(halved: Halved, images: CalibrationSet, narrator: Narrator) -> None:
    narrator.line("images", f"{images.count} from {images.name}")
    kept = halved.kept_for_range
    narrator.line("layers", f"{halved.layers} in FP16, {len(kept)} kept in FP32 for their range")
    for one in kept[:_MOST_TOLD]:
        narrator.line("", f"{one.layer}: {one.reason}")
    if len(kept) > _MOST_TOLD:
        narrator.line("", f"and {len(kept) - _MOST_TOLD} more")
    parity = halved.parity
    narrator.line(
        "check",
        f"FP16, rounded as GPUs do, against the source on {parity.n} images kept aside: max |diff| "
        f"{parity.max_abs_diff:.1e}, {parity.rel:.2%} of the largest output, SQNR "
        f"{parity.sqnr_db:.1f} dB, top-1 equal on {parity.top1_equal} of {parity.n}",
    )
    if images.is_random:
        narrator.warn("looked for overflow on random noise, as asked: real images may overflow")
    if parity.top1_equal < WARN_AGREEMENT * parity.n:
        narrator.warn(
            f"top-1 differs on {parity.n - parity.top1_equal} of {parity.n} images: "
            "compare both on labelled images with edgecnn evaluate"
        )


def _draft(
    source: Path,
    contract: Contract,
    images: CalibrationSet,
    halved: Halved,
    options: HalfOptions,
) -> Draft:
    before = contract.provenance.get("precision", "fp32")
    step: dict[str, Any] = {
        "step": "half",
        "seed": options.seed,
        "layers": halved.layers,
        "float_layers": [_plain(one) for one in halved.kept_for_range],
        "source_sha256": sha256_of(source),
        "images": {"name": images.name, "images": images.count, "sha256": images.sha256},
        "check": {
            "images": halved.parity.n,
            "max_abs_diff": halved.parity.max_abs_diff,
            "sqnr_db": round(halved.parity.sqnr_db, 2),
            "top1_equal": halved.parity.top1_equal,
        },
    }
    return next_draft(contract, step, precision="int8+fp16" if before == "int8" else "fp16")


def _plain(kept: Kept) -> dict[str, str]:
    return {"layer": kept.layer, "reason": kept.reason}
