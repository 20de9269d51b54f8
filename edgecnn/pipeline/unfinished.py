"""A calibration that was interrupted goes on where it stopped."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.graph.checkpoint import Checkpoint
from edgecnn.onnxfile import model_sha256
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.writing import tool_versions
from edgecnn.runtime.cache import unfinished_file


def unfinished_calibration(
    source: Path, images: CalibrationSet, frames: Frames, narrator: Narrator
) -> Checkpoint:
    """Where the state of learning from `images`, seen through `frames`, is kept until it is done.

    In the cache, under a name that follows from the model's content, the images in their order,
    their preprocessing and the versions of what computes.
    """
    key = {
        "model": model_sha256(source),
        "images": hashlib.sha256("\n".join(images.digests).encode()).hexdigest(),
        "preprocess": str(asdict(frames.contract.preprocess)),
        **tool_versions("onnx", "onnxruntime", "numpy"),
    }

    def heard(done: int | None) -> None:
        if done is None:
            narrator.warn("the state of an interrupted calibration is damaged: it begins anew")
        else:
            were = "was" if done == 1 else "were"
            narrator.line("resume", f"{done:,} of {frames.count:,} images {were} done before")

    return Checkpoint(unfinished_file("calibration", key), frames.tensors, heard)
