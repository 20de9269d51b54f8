"""Claim: INT8 takes at most this share of FP32's time in ONNX Runtime on one thread (x86, VNNI).

    make bench        or        python -m benchmarks.int8_speed [MODEL...]

Random weights: latency does not depend on them. Each network's two files are measured in one run,
in interleaved blocks; the ratio of the medians has an interval, the samples stay in bench-output/.
Where INT8 misses its share, `auto` must take the FP32 file and say why.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.networks import OUTPUT, files
from edgecnn.cli.speak import Speaker
from edgecnn.pipeline.fastest import FastestOptions, fastest
from edgecnn.pipeline.measure import ProfileOptions, profile
from edgecnn.profiling.report import profile_document, profile_table, summarize
from edgecnn.profiling.run import Options

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
# Where ONNX Runtime has no fast way to compute the activations, to be told so is what is promised.
FP32_WILL_DO = ("efficientnet_b0",)


def measure(name: str) -> bool:
    """Measure one network, print its table and say whether the claim holds."""
    both = files(name)
    options = ProfileOptions(measuring=Options(threads=1, precision=0.01, time_limit_s=60))
    summary = summarize(profile(both, options=options, narrator=Speaker()))
    print(profile_table(summary))
    document = profile_document(summary)
    (OUTPUT / f"int8_speed-{name}.json").write_text(json.dumps(document))
    faster: dict[str, float] = document["comparisons"][0]["ratio"]
    share, low, high = (1 / faster[key] for key in ("value", "high", "low"))
    held = bool(share <= CLAIMS[name])
    verdict = "holds" if held else "DOES NOT HOLD"
    print(
        f"claim: {name} INT8/FP32 = {share:.3f} ({low:.3f} to {high:.3f}),"
        f" at most {CLAIMS[name]}: {verdict}\n"
    )
    if held or name not in FP32_WILL_DO:
        return held
    return takes_fp32(both)


def takes_fp32(both: tuple[Path, Path]) -> bool:
    """Whether `auto` takes the FP32 file, and says so."""
    _, (verdict,) = fastest(both, options=FastestOptions(threads=1), narrator=Speaker())
    held = verdict.take.path == both[0]
    print(f"claim: auto takes FP32 instead: {'holds' if held else 'DOES NOT HOLD'}\n")
    return held


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    held = [measure(name) for name in sys.argv[1:] or CLAIMS]
    sys.exit(not all(held))
