"""The device side of an evaluation: one file that names the classes of the frames it is handed.

It speaks JSON lines as the worker does. `{"ready": {...}}` first; then each request
`{"frames": "FILE.npz"}` is answered with `{"classes": n, "top": [[...]], "score": [...]}`, a row a
frame. The end of stdin ends it.
"""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.errors import ModelError, UsageError
from edgecnn.runtime.facts import cpu_flags, emulator
from edgecnn.runtime.loading import load
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Tensor
from edgecnn.runtime.results import probabilities
from edgecnn.runtime.visits import Reply
from edgecnn.runtime.worker import read_frames

TOP = 5
TOGETHER = 8


def images_a_run(model: Model) -> int:
    """How many images are answered together: the file's batch, or 8 where that is open.

    All who evaluate cut at the same places, since an engine may round otherwise in another batch.
    """
    return model.engine.inputs[0].batch or TOGETHER


def best_classes(
    logits: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best five outputs of each row, ties by the lower index, and the best's probability."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP].astype(np.int64)
    return order, probabilities(logits).max(axis=1)


def name_classes(
    file: Path,
    requests: Iterable[str],
    reply: Reply,
    *,
    engine: str = "onnxruntime",
    threads: int | None = None,
    contract: Contract | None = None,
) -> None:
    """Load the file, report `ready`, then answer requests until there are no more.

    Raises what loading a file raises, UsageError for a request that is none, FileError or DataError
    for frames that cannot be read, ModelError for values that are no numbers.
    """
    with load(file, engine=engine, threads=threads, contract=contract, wait=True) as model:
        reply(
            {
                "ready": {
                    "sha256": model.sha256,
                    "engine": model.engine.name,
                    "facts": dict(model.facts) | _arithmetic(),
                    "precision": model.precision,
                    "emulated": emulator(),
                }
            }
        )
        for line in requests:
            reply(_answer(model, _frames_of(line)))


def _arithmetic() -> dict[str, str]:
    """What decides how a machine rounds."""
    return {"machine": platform.machine(), "isa": " ".join(sorted(cpu_flags()))}


def _frames_of(line: str) -> Path:
    try:
        return Path(json.loads(line)["frames"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{line[:80]!r} is no request", hint='{"frames": "FILE.npz"}') from error


def _answer(model: Model, frames: Path) -> dict[str, Any]:
    top: list[list[int]] = []
    score: list[float] = []
    for tensor in _batches(model, frames):
        logits = model.run(tensor)
        bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        if bad.size:
            raise ModelError(
                f"{model.path}: gives values that are no numbers for frame {len(top) + bad[0]}",
                hint="export it again and check the preprocessing: edgecnn verify FILE",
            )
        best, sure = best_classes(logits)
        top += best.tolist()
        score += sure.tolist()
    return {"classes": logits.shape[1] if top else 0, "top": top, "score": score}


def _batches(model: Model, frames: Path) -> Iterator[Tensor]:
    tensors = (model.preprocess(frame) for frame in read_frames(frames))
    while together := tuple(itertools.islice(tensors, images_a_run(model))):
        yield np.concatenate(together)
