"""Claim: LiteRT runs EfficientNet-B0's INT8 file in at most 0.60 of ONNX Runtime's FP32 time.

    make bench-litert        or        python -m benchmarks.litert_speed [MODEL...]

One thread. Random weights: latency does not depend on them. FP32 and INT8 in ONNX Runtime and the
same INT8 file in LiteRT run in turn in one process, another image in each run; ratios to FP32 with
their 99 % intervals, medians of blocks in bench-output/.
"""

from __future__ import annotations

import contextlib
import json
import sys

import numpy as np

from benchmarks.claims import share_holds
from benchmarks.networks import OUTPUT, files
from edgecnn.datasets.natural import natural_images
from edgecnn.runtime import Model, load
from edgecnn.runtime.measure import Run
from edgecnn.runtime.race import race, ratio

AT_MOST = {"efficientnet_b0": 0.60}
NETWORKS = (
    "mobilenetv2",
    "efficientnet_b0",
    "mobilenetv3_large",
    "resnet50",
    "squeezenet1_1",
    "googlenet",
)
_IMAGES = 8


def measure(name: str) -> bool:
    """Measure one network, print its row and say whether the claim holds."""
    fp32, int8 = files(name)
    runs = {
        "ort_fp32": (fp32, "onnxruntime"),
        "ort": (int8, "onnxruntime"),
        "lrt": (int8, "litert"),
    }
    with contextlib.ExitStack() as stack:
        models = [
            stack.enter_context(load(path, engine=engine, threads=1))
            for path, engine in runs.values()
        ]
        blocks = dict(zip(runs, race([run_of(model) for model in models]), strict=True))
        provider = models[-1].facts["provider"]
    medians = {key: float(np.median(each)) for key, each in blocks.items()}
    ort, litert = (ratio(blocks[key], blocks["ort_fp32"]) for key in ("ort", "lrt"))
    print(
        f"{name:<18} ORT FP32 {medians['ort_fp32']:6.2f} ms  ORT INT8 {medians['ort']:6.2f} ms"
        f" {ort.told}  LiteRT INT8 {medians['lrt']:6.2f} ms {litert.told}  {provider}"
    )
    kept = {key: each.tolist() for key, each in blocks.items()}
    document = {"format": 1, "network": name, "blocks_ms": kept}
    (OUTPUT / f"litert_speed-{name}.json").write_text(json.dumps(document))
    if name not in AT_MOST:
        return True
    return share_holds(f"{name} LiteRT/FP32", litert, at_most=AT_MOST[name])


def run_of(model: Model) -> Run:
    """One run of the engine by itself, on another natural image each time."""
    height, width = model.contract.preprocess.size
    images = natural_images(_IMAGES, height=height, width=width, seed=0)
    spec = model.engine.inputs[0]
    feeds = [{spec.name: model.preprocess(image)} for image in images]

    def run(index: int) -> None:
        model.engine.run(feeds[index % len(feeds)])

    return run


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    held = [measure(name) for name in sys.argv[1:] or NETWORKS]
    sys.exit(not all(held))
