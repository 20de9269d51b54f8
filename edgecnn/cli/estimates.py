"""Estimates on the terminal: in a style of their own, so that nobody takes them for measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.estimate import Estimates, FileEstimate

_ENGINES = {"tensorrt": "TensorRT", "onnxruntime": "ONNX Runtime", "ncnn": "ncnn"}


def show_estimates(
    speaker: Speaker, files: Sequence[Path], boards: Sequence[str], contract: ContractOptions
) -> None:
    """Estimate files on boards and tell them; raises UsageError for this very machine."""
    from edgecnn.pipeline.estimate import HELD_OUT, estimate_files

    if "local" in boards:
        raise click.UsageError("--estimate is for a board: name it, --device jetson-orin-nano")
    found = [estimate_files(files, board=board, contract=contract) for board in boards]
    for each in found:
        _show(speaker, each)
    speaker.print(f"\nEstimated, not measured: {HELD_OUT}.")
    speaker.result({"format": 1, "estimates": [row for each in found for row in _rows(each)]})


def _show(speaker: Speaker, found: Estimates) -> None:
    engine = _ENGINES[found.files[0].estimate.engine]
    speaker.print(f"\n{found.board.title}, {engine}: estimated")
    if not found.is_known:
        speaker.print("no published figure of this very board is behind it: a wider range")
    width = max(len(row.name) for row in found.files)
    for row in found.files:
        speaker.print(f"  {row.name:<{width}}  {_told(row)}")


def _told(row: FileEstimate) -> str:
    """`~2.1 ms  (1.0 to 4.4)`."""
    guess = row.estimate
    of = f" for {row.batch} images" if row.batch > 1 else ""
    return f"~{_rough(guess.ms)} ms  ({_rough(guess.low_ms)} to {_rough(guess.high_ms)}){of}"


def _rough(value: float) -> str:
    """Two digits, which is more than an estimate knows: 0.19, 2.1, 190."""
    return f"{float(f'{value:.2g}'):g}"


def _rows(found: Estimates) -> list[dict[str, Any]]:
    return [
        {
            "file": row.file,
            "device": found.board.name,
            "engine": row.estimate.engine,
            "precision": row.precision,
            "batch": row.batch,
            "estimated": True,
            "latency_ms": {
                "value": row.estimate.ms,
                "low": row.estimate.low_ms,
                "high": row.estimate.high_ms,
            },
            "size_bytes": row.size_bytes,
            "sources": list(found.board.sources),
        }
        for row in found.files
    ]
