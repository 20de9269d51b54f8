"""Claim: loading the cached engine takes at most 0.7 of loading the ONNX file (geometric mean).

    make bench-load        or        python -m benchmarks.load_time [MODEL...]

And no file takes more than 0.95. `edgecnn.runtime.load` with a filled cache, all that it does but
its warm-up (the contract, the hash of the file), against `onnxruntime.InferenceSession` of the very
file. Beside it `load` as it is called, warm-up and all, against the session alone, and against the
session and its first run. All four in turn in one process, ratios with intervals, medians of blocks
in bench-output/.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.claims import mean_holds
from benchmarks.networks import OUTPUT, files
from edgecnn.runtime import load
from edgecnn.runtime.race import race, ratio

MEAN_AT_MOST = 0.7
EACH_AT_MOST = 0.95
NETWORKS = ("mobilenetv2", "squeezenet1_1", "mobilenetv3_large", "resnet18", "resnet50")


def measure(path: Path) -> dict[str, Any]:
    """How long the ways take, block by block in ms, and the ratios of them."""

    def session() -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    with load(path, threads=1):
        pass  # the cache is filled
    with load(path, threads=1) as again:
        assert again.facts["graph"] == "cached", "a second start recompiles"
        gray = again.preprocess(np.full((*again.contract.preprocess.size, 3), 127, np.uint8))
        feeds = {again.engine.inputs[0].name: gray}
    ways = {
        "cached": lambda _: load(path, threads=1, warm_up=False).close(),
        "onnx": lambda _: session() and None,
        "warm": lambda _: load(path, threads=1).close(),
        "onnx_and_run": lambda _: session().run(None, feeds) and None,
    }
    taken_ms = dict(zip(ways, race(tuple(ways.values())), strict=True))
    found = ratio(taken_ms["cached"], taken_ms["onnx"])
    warm = ratio(taken_ms["warm"], taken_ms["onnx"])
    ready = ratio(taken_ms["warm"], taken_ms["onnx_and_run"])
    means = ", ".join(f"{name} {ms.mean():.1f}" for name, ms in taken_ms.items())
    print(f"{path.name:<24}{found.told}; warm {warm.told}, of a run, too {ready.told}; ms: {means}")
    return {
        "file": path.name,
        "ratio": {"value": found.value, "low": found.low, "high": found.high},
        **{f"{name}_ms": ms.tolist() for name, ms in taken_ms.items()},
    }


def main(networks: tuple[str, ...]) -> bool:
    """Measure all files and say whether the claims hold."""
    results = [measure(path) for name in networks for path in files(name)]
    (OUTPUT / "load_time.json").write_text(json.dumps({"format": 1, "results": results}))
    ratios = [result["ratio"]["value"] for result in results]
    return mean_holds(ratios, mean_at_most=MEAN_AT_MOST, each_at_most=EACH_AT_MOST)


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    sys.exit(not main(tuple(sys.argv[1:]) or NETWORKS))
