"""What files would take on a board that nobody has here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from edgecnn.devices.boards import Board, Precision, find_board
from edgecnn.devices.estimate import KNOWN_BOARDS, Estimate, Work, estimate
from edgecnn.graph.work import work_of
from edgecnn.onnxfile import read_header
from edgecnn.pipeline.contracts import ContractOptions, contract_of

# What `python -m benchmarks.estimates` says of the figures that the factors were not fitted on.
HELD_OUT = "off by 21 % (median), at most 2.13 times, on 38 published figures it never saw"


@dataclass(frozen=True, slots=True)
class FileEstimate:
    """One file on one board; `batch` images at a time, which take `estimate` together."""

    file: str
    name: str
    precision: Precision
    size_bytes: int
    batch: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Estimates:
    """Files on a board, and whether published figures of that very board are behind them."""

    board: Board
    is_known: bool
    files: tuple[FileEstimate, ...]


def estimate_files(
    files: Sequence[Path], *, board: str, contract: ContractOptions | None = None
) -> Estimates:
    """Estimate files on a board of the catalog; raises DeviceError for an unknown one."""
    found = find_board(board)
    contract = contract or ContractOptions()
    rows = tuple(_estimated(path, found, contract) for path in files)
    return Estimates(found, found.name in KNOWN_BOARDS, rows)


def _estimated(path: Path, board: Board, options: ContractOptions) -> FileEstimate:
    contract = contract_of(path, options)
    said = str(contract.provenance.get("precision", "fp32")).partition("+")[0]
    precision = cast(Precision, said if said in get_args(Precision) else "fp32")
    works = [Work(work.kind, work.macs, work.values) for work in work_of(path)]
    return FileEstimate(
        file=str(path),
        name=f"{contract.name} {precision}",
        precision=precision,
        size_bytes=path.stat().st_size,
        batch=read_header(path).inputs[0].batch or 1,
        estimate=estimate(board, works, precision=precision),
    )
