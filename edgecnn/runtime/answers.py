"""A file's answers to some frames, as one JSON document: how a device proves itself from afar."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.errors import DataError
from edgecnn.runtime.facts import emulator
from edgecnn.runtime.loading import load
from edgecnn.runtime.preprocess import Image

MAX_VALUES = 4_000_000


def answers_document(
    file: Path,
    frames: Iterable[Image],
    *,
    engine: str = "onnxruntime",
    threads: int | None = None,
    contract: Contract | None = None,
) -> dict[str, Any]:
    """The first output for each frame, and what computed it.

    Keys: sha256, engine (its facts), emulated, answers (a list of numbers a frame). Raises what
    loading a file raises, DataError for more than MAX_VALUES numbers.
    """
    loaded = load(file, engine=engine, threads=threads, contract=contract, wait=True, check=False)
    with loaded as model:
        rows: list[list[float]] = []
        for frame in frames:
            rows.append(model.logits(frame)[0].tolist())
            if len(rows) * len(rows[0]) > MAX_VALUES:
                raise DataError(f"{file}: more than {MAX_VALUES} answers", hint="give fewer images")
        return {
            "sha256": model.sha256,
            "engine": dict(model.engine.facts),
            "emulated": emulator(),
            "answers": rows,
        }
