"""Claim: INT8 takes at most this share of FP32's time in ONNX Runtime on one thread (x86, VNNI).

    make bench        or        python -m benchmarks.int8_speed [MODEL...]

Random weights: latency does not depend on them. Each network's two files are measured in one run,
in interleaved blocks; the ratio of the medians has an interval, the samples stay in bench-output/.
Where INT8 misses its share, `auto` must take the FP32 file and say why, or INT8 on an engine where
it makes it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.claims import share_holds, told
from benchmarks.networks import OUTPUT, files
from edgecnn.cli.speak import Speaker
from edgecnn.pipeline.fastest import FastestOptions, fastest
from edgecnn.pipeline.measure import ProfileOptions, profile
from edgecnn.profiling.report import profile_document, profile_table, summarize
from edgecnn.profiling.run import Options
from edgecnn.runtime.race import Ratio

CLAIMS = {
    "mobilenetv2": 0.48,
    "squeezenet1_1": 0.48,
    "resnet18": 0.34,
    "resnet50": 0.34,
    "googlenet": 0.36,
    "vgg16": 0.28,
    "mobilenetv3_large": 0.90,
    "efficientnet_b0": 0.60,
}
# Where ONNX Runtime has no fast way to compute the activations, what `auto` takes is promised.
AUTO_WILL_DO = ("efficientnet_b0",)


def measure(name: str) -> bool:
    """Measure one network, print its table and say whether the claim holds."""
    both = files(name)
    options = ProfileOptions(measuring=Options(threads=1, precision=0.01, time_limit_s=60))
    summary = summarize(profile(both, options=options, narrator=Speaker()))
    print(profile_table(summary))
    document = profile_document(summary)
    (OUTPUT / f"int8_speed-{name}.json").write_text(json.dumps(document))
    faster: dict[str, float] = document["comparisons"][0]["ratio"]
    share = Ratio(*(1 / faster[key] for key in ("value", "high", "low")))
    held = share_holds(f"{name} INT8/FP32", share, at_most=CLAIMS[name])
    return held or (name in AUTO_WILL_DO and auto_holds(both, at_most=CLAIMS[name]))


def auto_holds(both: tuple[Path, Path], *, at_most: float) -> bool:
    """Whether `auto` takes the FP32 file, or INT8 where it is as fast as claimed."""
    _, (verdict,) = fastest(both, options=FastestOptions(threads=1), narrator=Speaker())
    held = verdict.take == verdict.plain or verdict.ratio.value <= at_most
    return told(f"auto takes FP32, or INT8 at {at_most}: {verdict.advice}", held)


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    held = [measure(name) for name in sys.argv[1:] or CLAIMS]
    sys.exit(not all(held))
