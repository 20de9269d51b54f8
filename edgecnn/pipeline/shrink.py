"""The arrow to a small download: the weights of a float file become INT8, nothing else does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.errors import DataError
from edgecnn.files import human_size, sha256_of
from edgecnn.graph.parity import Parity
from edgecnn.graph.shrink import Shrunk, shrink_model
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.contracts import ContractOptions, float_contract
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.naming import naming
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.verified import WARN_AGREEMENT
from edgecnn.pipeline.writing import next_draft, write_model


@dataclass(frozen=True, slots=True)
class ShrinkOptions:
    """Which images the result is compared with its source on, and how they are prepared."""

    images: str = "natural:16"
    seed: int = 0
    contract: ContractOptions = field(default_factory=ContractOptions)


@dataclass(frozen=True, slots=True)
class ShrinkResult:
    """What came of it: how many layers have INT8 weights, and how near it is to its source."""

    source: Path
    path: Path
    layers: int
    check: Parity
    wall_s: float


def shrink(
    source: Path,
    *,
    options: ShrinkOptions | None = None,
    output: Path | None = None,
    force: bool = False,
    narrator: Narrator | None = None,
) -> ShrinkResult:
    """Write a file with INT8 weights that is computed in floats, beside `source`.

    Raises FileError, ModelError, GraphError, DataError, ParityError or UsageError.
    """
    options, narrator = options or ShrinkOptions(), narrator or Silent()
    started_s = time.monotonic()
    target = output or source.with_name(f"{source.stem}.w8.onnx")
    check_target(target, force=force, source=source)
    contract = float_contract(source, options.contract)
    frames = _frames(source, contract, options)
    with naming(source):
        shrunk = shrink_model(source, frames.tensors)
    _tell(shrunk, narrator)
    draft = next_draft(contract, _step(source, shrunk), precision="w8")
    write_model(shrunk.model.SerializeToString(), target, draft)
    sizes = (human_size(path.stat().st_size) for path in (source, target))
    narrator.line("wrote", f"{target}  {' -> '.join(sizes)}")
    return ShrinkResult(source, target, shrunk.layers, shrunk.parity, time.monotonic() - started_s)


def _frames(source: Path, contract: Contract, options: ShrinkOptions) -> Frames:
    frames = Frames(find_calibration(options.images, seed=options.seed), contract)
    if not frames.count:
        batch = contract.inputs[0].batch or 1
        raise DataError(
            f"{source}: takes {batch} images a run, and {options.images} are fewer",
            hint=f"--calibration natural:{batch}",
        )
    return frames


def _tell(shrunk: Shrunk, narrator: Narrator) -> None:
    parity = shrunk.parity
    narrator.line("weights", f"INT8 in {shrunk.layers} layers, a scale for each output channel")
    narrator.line(
        "check",
        f"against the source on {parity.n} images: SQNR {parity.sqnr_db:.1f} dB, "
        f"top-1 equal on {parity.top1_equal} of {parity.n}",
    )
    if parity.top1_equal < WARN_AGREEMENT * parity.n:
        narrator.warn(
            f"top-1 differs on {parity.n - parity.top1_equal} of {parity.n} images: "
            "compare both on labelled images with edgecnn evaluate"
        )


def _step(source: Path, shrunk: Shrunk) -> dict[str, Any]:
    return {
        "step": "shrink",
        "layers": shrunk.layers,
        "source_sha256": sha256_of(source),
        "check": {
            "images": shrunk.parity.n,
            "sqnr_db": round(shrunk.parity.sqnr_db, 2),
            "top1_equal": shrunk.parity.top1_equal,
        },
    }
