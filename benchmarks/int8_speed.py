"""Claim: INT8 takes at most this share of FP32's time in ONNX Runtime on one thread (x86, VNNI).

    make bench        or        python -m benchmarks.int8_speed [MODEL...]

Random weights: latency does not depend on them. Each network's two files are measured in one run,
in interleaved blocks; the ratio of the medians has an interval, the samples stay in bench-output/.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edgecnn.cli.speak import Speaker
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.measure import ProfileOptions, profile
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.profiling.report import profile_document, profile_table, summarize
from edgecnn.profiling.run import Options

CLAIMS = {"mobilenetv2": 0.55, "resnet50": 0.36, "vgg16": 0.32}
OUTPUT = Path("bench-output")


def files(name: str) -> tuple[Path, Path]:
    """The network's two files; made once."""
    source = OUTPUT / f"{name}.onnx"
    int8 = OUTPUT / f"{name}.int8.onnx"
    if not source.exists():
        export(name, output=source, options=ExportOptions(weights="random", images=4))
    if not int8.exists():
        images = find_calibration("natural:16", seed=0)
        quantize(source, images, output=int8, options=QuantizeOptions(effort="fast"), force=True)
    return source, int8


def measure(name: str) -> bool:
    """Measure one network, print its table and say whether the claim holds."""
    options = ProfileOptions(measuring=Options(threads=1, precision=0.01, time_limit_s=60))
    summary = summarize(profile(files(name), options=options, narrator=Speaker()))
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
    return held


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    held = [measure(name) for name in sys.argv[1:] or CLAIMS]
    sys.exit(not all(held))
