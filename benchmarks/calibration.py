"""Claim: calibrating MobileNetV2 is quick and small, however many images there are.

    make bench-calibration        or        python -m benchmarks.calibration [FOLDER]

With 128 images all four methods together take at most a quarter of what ONNX Runtime's percentile
calibrator takes for one, on the same images in one run; and the peak memory is at most 400 MB with
128 and with 2,000 images. Each run is a process of its own, from opening the images to the
thresholds. Random weights: neither time nor memory depends on them. Without FOLDER the images are
crops of the packaged photographs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import claims
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import observe
from edgecnn.graph.thresholds import METHODS, PERCENTILE, learn_all
from edgecnn.graph.watched import watched_by_all
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.doctor import short_checkup
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Silent
from edgecnn.runtime.usage import peak_rss_bytes

OUTPUT = Path("bench-output")
MODEL = OUTPUT / "mobilenetv2.onnx"
FEW, MANY = 128, 2000
MOST_TIME_SHARE = 0.25
MOST_RSS_BYTES = 400e6

Run = dict[str, Any]


def edgecnn(source: str, count: int) -> None:
    """A look at the images and ranges by every method for every target, as `quantize` does."""
    images, contract = find_calibration(source, limit=count), read_contract(MODEL)
    frames = Frames(images, contract)
    short_checkup(images, MODEL, (frames,), narrator=Silent())
    model = fold(read_model(MODEL))
    watched = watched_by_all(model)
    histograms = observe(model, watched.tensors, frames.tensors())
    learn_all(histograms, tuple(METHODS), exact=watched.exact)


def onnxruntime(source: str, count: int) -> None:
    """ONNX Runtime's percentile ranges of the same images, preprocessed in the same way."""
    from onnxruntime.quantization.calibrate import (
        CalibrationDataReader,
        CalibrationMethod,
        create_calibrator,
    )

    frames = Frames(find_calibration(source, limit=count), read_contract(MODEL))

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        tensors = frames.tensors()

        def get_next(self) -> dict[str, Any] | None:
            tensor = next(self.tensors, None)
            return None if tensor is None else {"input": tensor}

    with tempfile.TemporaryDirectory() as scratch:
        calibrator = create_calibrator(
            MODEL,
            augmented_model_path=str(Path(scratch) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"percentile": PERCENTILE},
        )
        calibrator.collect_data(Reader())
        calibrator.compute_data()


TOOLS: dict[str, Callable[[str, int], None]] = {"edgecnn": edgecnn, "onnxruntime": onnxruntime}


def work(tool: str, source: str, count: int) -> None:
    """The child: do it once and say what it took."""
    started_s = time.perf_counter()
    TOOLS[tool](source, count)
    wall_s = time.perf_counter() - started_s
    print(json.dumps({"wall_s": wall_s, "peak_rss_bytes": peak_rss_bytes()}))


def measured(tool: str, folder: str | None, count: int) -> Run:
    """One run in a process of its own."""
    source = folder or f"photos:{count}"
    command = [sys.executable, "-m", "benchmarks.calibration", "--work", tool, source, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took: Run = json.loads(done.stdout.splitlines()[-1])
    run = {"tool": tool, "images": count, **took}
    print(
        f"{tool:<12} {count:>5} images  {run['wall_s']:7.2f} s"
        f"  peak {run['peak_rss_bytes'] / 1e6:6.0f} MB",
        flush=True,
    )
    return run


def told(claim: str, value: float, most: float) -> bool:
    """Say whether a claim holds."""
    return claims.told(f"{claim} {value:.3g}, at most {most:g}", value <= most)


def bench(folder: str | None) -> bool:
    """All runs, the two tools in turn, and the claims."""
    runs = [measured(tool, folder, FEW) for tool in ("edgecnn", "onnxruntime", "edgecnn")]
    runs.append(measured("edgecnn", folder, MANY))
    (OUTPUT / "calibration.json").write_text(json.dumps(runs, indent=1))
    ours = [run for run in runs if run["tool"] == "edgecnn"]
    theirs_s = next(run["wall_s"] for run in runs if run["tool"] == "onnxruntime")
    share = max(run["wall_s"] for run in ours if run["images"] == FEW) / theirs_s
    held = [told("time as a share of ONNX Runtime's", share, MOST_TIME_SHARE)]
    for count in (FEW, MANY):
        peak = max(run["peak_rss_bytes"] for run in ours if run["images"] == count)
        held.append(told(f"MB at {count} images:", peak / 1e6, MOST_RSS_BYTES / 1e6))
    return all(held)


def prepare() -> None:
    """The network as a file; made once."""
    from edgecnn.pipeline.export import ExportOptions, export

    OUTPUT.mkdir(exist_ok=True)
    if not MODEL.exists():
        export("mobilenetv2", output=MODEL, options=ExportOptions(weights="random", images=4))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        prepare()
        sys.exit(not bench(sys.argv[1] if len(sys.argv) > 1 else None))
