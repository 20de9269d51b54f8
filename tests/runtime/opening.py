"""A network of a few layers as a file, and the file on an engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from edgecnn.onnxfile import model_sha256
from edgecnn.runtime.compiled import Compiled, compile_engine, open_engine
from edgecnn.runtime.engines.base import Engine
from tests import toy


def saved(model: ModelProto, folder: Path) -> Path:
    """The file of a network whose input is `image` and whose output is `logits`."""
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def opened(path: Path, engine: str, *, threads: int = 1) -> Engine:
    return open_engine(path, engine=engine, sha256=model_sha256(path), threads=threads)


def compiled(path: Path, engine: str) -> Compiled:
    return compile_engine(path, engine=engine, sha256=model_sha256(path))


def farthest(path: Path, engine: str) -> float:
    """The largest difference to ONNX Runtime on images, as a share of the outputs' spread."""
    ours, theirs = opened(path, engine), opened(path, "onnxruntime")
    worst = 0.0
    for image in toy.images(8, seed=5)():
        wanted = theirs.run({"image": image})["logits"]
        diff = np.abs(ours.run({"image": image})["logits"] - wanted).max()
        worst = max(worst, float(diff / np.ptp(wanted)))
    ours.close()
    return worst
