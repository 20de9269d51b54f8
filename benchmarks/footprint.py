"""Claim: the runtime is small: in time to import, in memory beside its engine, on disk.

    make bench-footprint        or        python -m benchmarks.footprint [PROCESSES]

`import edgecnn.runtime` after `import numpy`, in fresh processes, beside what numpy itself takes;
the memory of a process with a camera of 1280x720 and a stream, MobileNetV2 INT8, beside one with
the bare ONNX Runtime session and its runs; the size of the wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.claims import told
from benchmarks.networks import OUTPUT, files

IMPORT_MS = 80
RSS_BYTES = 15_000_000
WHEEL_BYTES = 1_000_000

IMPORT = (
    "from time import perf_counter as now; a = now(); import numpy; b = now()\n"
    "import edgecnn.runtime; print(b - a, now() - b)"
)
RSS = "; print(int(open('/proc/self/statm').read().split()[1]) * 4096)"
BARE = (
    "import sys, numpy, onnxruntime\n"
    "o = onnxruntime.SessionOptions(); o.intra_op_num_threads = 1\n"
    "s = onnxruntime.InferenceSession(sys.argv[1], o, providers=['CPUExecutionProvider'])\n"
    "x = numpy.zeros((1, 3, 224, 224), numpy.float32)\n"
    "for _ in range(100): s.run(None, {s.get_inputs()[0].name: x})\n"
    "pass"
)
OURS = (
    "import sys, numpy\n"
    "from edgecnn.runtime import Camera, load\n"
    "frames = lambda: (numpy.full((720, 1280, 3), i, numpy.uint8) for i in range(100))\n"
    "model = load(sys.argv[1], engine='onnxruntime', threads=1)\n"
    "stream = model.stream(Camera(frames(), lossless=True))\n"
    "assert sum(1 for _ in stream) == 100\n"
    "pass"
)


def said(code: str, *arguments: object) -> list[float]:
    """The numbers that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


def wheel_bytes() -> int:
    """The size of the wheel, built now."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, "."]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.stat().st_size


def main(processes: int) -> bool:
    """Measure all of it and say whether the claims hold."""
    OUTPUT.mkdir(exist_ok=True)
    _, int8 = files("mobilenetv2")
    os.environ["EDGECNN_CACHE"] = str((OUTPUT / "cache").resolve())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once
    said(OURS, int8)  # the cache is filled
    numpy_s, ours_s = zip(*(said(IMPORT) for _ in range(processes)), strict=True)
    import_ms = 1e3 * median(ours_s)
    print(
        f"import: {import_ms:.0f} ms beyond numpy's {1e3 * median(numpy_s):.0f} "
        f"({processes} processes, {1e3 * min(ours_s):.0f} to {1e3 * max(ours_s):.0f})"
    )
    bare, ours = (median(said(code + RSS, int8)[0] for _ in range(5)) for code in (BARE, OURS))
    print(f"memory: {(ours - bare) / 1e6:+.1f} MB beyond the session's {bare / 1e6:.0f}")
    size = wheel_bytes()
    print(f"wheel: {size / 1e3:.0f} kB")
    held = import_ms <= IMPORT_MS and ours - bare <= RSS_BYTES and size < WHEEL_BYTES
    most = f"at most {IMPORT_MS} ms, {RSS_BYTES / 1e6:.0f} MB, {WHEEL_BYTES / 1e6:.0f} MB"
    return told(most, held)


if __name__ == "__main__":
    sys.exit(not main(int(sys.argv[1]) if sys.argv[1:] else 21))
