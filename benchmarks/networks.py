"""The files that benchmarks of speed run: networks at full size with random weights, made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from edgecnn.datasets.natural import natural_images
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.runtime.cache import cache_dir
from edgecnn.runtime.preprocess import preprocess_batch
from edgecnn.zoo.catalog import find
from edgecnn.zoo.weights import load_weights

OUTPUT = Path("bench-output")

_BATCH = 8


def files(name: str) -> tuple[Path, Path]:
    """The network's FP32 file and its INT8 file, made where they are missing."""
    source = OUTPUT / f"{name}.onnx"
    int8 = OUTPUT / f"{name}.int8.onnx"
    if not source.exists():
        options = ExportOptions(weights=str(weights(name)), images=4)
        export(name, output=source, options=options)
    if not int8.exists():
        images = find_calibration("natural:16", seed=0)
        quantize(source, images, output=int8, options=QuantizeOptions(effort="fast"), force=True)
    return source, int8


def weights(name: str) -> Path:
    """Random weights, made once; the norms have the statistics of natural images.

    Without them a deep network gives nearly the same answer to all images, of which INT8 leaves
    only noise, and no engine's answers could be judged.
    """
    target = OUTPUT / f"{name}.pth"
    if not target.exists():
        recipe = find(name).preprocess
        network = load_weights(find(name), "random", seed=0, cache=cache_dir()).module
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None  # the mean over all batches
        height, width = recipe.size
        images = tuple(natural_images(_BATCH * 4, height=height, width=width, seed=5))
        network.train()
        with torch.no_grad():
            for start in range(0, len(images), _BATCH):
                batch = preprocess_batch(images[start : start + _BATCH], recipe)
                network(torch.from_numpy(batch))
        torch.save(network.state_dict(), target)
    return target


def claim_holds(ratios: Sequence[float], *, mean_at_most: float, each_at_most: float) -> bool:
    """Say whether the geometric mean of ratios and the largest of them are as small as claimed."""
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    held = mean <= mean_at_most and max(ratios) <= each_at_most
    print(
        f"claim: geometric mean {mean:.2f}, at most {mean_at_most}; largest {max(ratios):.2f}, "
        f"at most {each_at_most}: {'holds' if held else 'DOES NOT HOLD'}"
    )
    return held
