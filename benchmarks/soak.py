"""Claim: a stream stays close to its camera and flat in memory for as long as it runs.

    make soak        or        python -m benchmarks.soak [MINUTES]

A synthetic camera of 60 frames a second against a model of 20 ms, the source unplugged 100 times on
the way. The age of an answer's frame must stay below one frame interval, the model and 5 ms in
99 % of all answers; memory within 2 MB of what it was after a tenth of the time; no thread and no
file descriptor may be left.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecnn.runtime import Camera, Model, load
from edgecnn.runtime.preprocess import Image

FPS = 60
MODEL_S = 0.020
SLACK_S = 0.005
UNPLUGGED = 100
FLAT_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came out: the numbers, and what was lost or left behind."""

    answered: int
    reconnects: int
    age_p99_ms: float
    growth_bytes: int
    problems: tuple[str, ...]


def soak(model: Model, *, seconds: float) -> Soaked:
    """Run one; `model` should be fast, it is made to take 20 ms."""
    threads, files = threading.active_count(), len([*Path("/proc/self/fd").iterdir()])
    ages_s: list[float] = []
    rss_bytes: list[int] = []
    ends_s = time.monotonic() + seconds
    warm_s = ends_s - 0.9 * seconds
    with Camera(lambda: _plugged(seconds / UNPLUGGED)) as camera, model.stream(camera) as stream:
        while (now_s := time.monotonic()) < ends_s:
            answer = stream.read(1.0)
            if answer is None:
                continue
            time.sleep(MODEL_S)
            ages_s.append(answer.frame.age_ms / 1e3)
            if now_s > warm_s and len(ages_s) % 25 == 0:
                rss_bytes.append(_rss_bytes())
        stats = stream.stats()
    time.sleep(0.1)
    p99_s = float(np.percentile(ages_s, 99))
    growth = max(rss_bytes) - rss_bytes[0]
    left = (threading.active_count() - threads, len([*Path("/proc/self/fd").iterdir()]) - files)
    problems = []
    if growth > FLAT_BYTES:
        problems.append(f"memory grew by {growth / 1e6:.1f} MB")
    if any(left):
        problems.append(f"{left[0]} threads and {left[1]} files are left")
    if stats.reconnects < UNPLUGGED - 2:
        problems.append(f"came back {stats.reconnects} times of {UNPLUGGED}")
    return Soaked(len(ages_s), stats.reconnects, 1e3 * p99_s, growth, tuple(problems))


def _plugged(life_s: float) -> Iterator[Image]:
    """One life of a camera that ticks by the clock, not by what its reader takes."""
    started_s = time.monotonic()
    # The pause before it is opened again is a part of each life.
    for tick in itertools.count(1):
        now_s = time.monotonic() - started_s
        if now_s > life_s - 0.15:
            raise OSError(19, "No such device")
        time.sleep(max(0.0, tick / FPS - now_s))
        yield np.full((240, 320, 3), tick % 256, dtype=np.uint8)


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(minutes: float) -> bool:
    from tests.profiling.toys import write_color_net

    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGECNN_CACHE"] = folder
        with load(write_color_net(Path(folder) / "net.onnx"), threads=1) as model:
            found = soak(model, seconds=60 * minutes)
    print(
        f"{found.answered} answers, source back {found.reconnects} times, frame age p99 "
        f"{found.age_p99_ms:.1f} ms, memory {found.growth_bytes / 1e6:+.2f} MB"
    )
    allowed_ms = 1e3 * (1 / FPS + MODEL_S + SLACK_S)
    held = not found.problems and found.age_p99_ms <= allowed_ms
    verdict = "holds" if held else "DOES NOT HOLD"
    print(f"claim: age at most {allowed_ms:.1f} ms, nothing lost or left: {verdict}")
    print("\n".join(found.problems))
    return held


if __name__ == "__main__":
    sys.exit(not main(float(sys.argv[1]) if sys.argv[1:] else 30))
