"""Running models in these tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto

from tests import toy

Images = Callable[[], Iterator[toy.Float]]


def session(
    model: ModelProto, *, optimized: Path | None = None, plain: bool = False
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options)


def answers(model: ModelProto, images: Images | None = None, *, plain: bool = False) -> toy.Float:
    """The logits for a few images, shape (images, classes)."""
    running = session(model, plain=plain)
    name = running.get_inputs()[0].name
    images = images or toy.images(4)
    return np.concatenate([running.run(None, {name: image})[0] for image in images()])


def optimized_ops(model: ModelProto, folder: Path) -> Counter[str]:
    """How often each operator stands in the graph that ONNX Runtime really executes."""
    path = folder / "optimized.onnx"
    session(model, optimized=path)
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def sqnr_db(reference: toy.Float, value: toy.Float) -> float:
    noise = max(float(np.square(reference - value).sum()), 1e-12)
    return float(10 * np.log10(np.square(reference).sum() / noise))
