"""Claim: a BGR frame becomes the network's input in a small share of the time of Pillow's resize.

    make bench-preprocess        or        python -m benchmarks.preprocess [ROUNDS]

The whole `preprocess` (colour order, resize, crop, normalisation, layout) against the resize alone
of Pillow's antialiased bilinear, on one thread. All ways are called in turn in each round; a ratio
is that of a round's medians, its interval holds the middle ratio of all rounds with 95 %.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("EDGECNN_CACHE", str(Path("bench-output").resolve() / "cache"))

import numpy as np
import PIL.Image

from edgecnn.contract import Preprocess
from edgecnn.datasets.natural import natural_images
from edgecnn.errors import EngineError
from edgecnn.runtime import native
from edgecnn.runtime.preprocess import Image, preprocess, resized

# Height and width of a frame, the share of Pillow's time, the least PSNR in dB.
CLAIMS = ((720, 1280, 0.15, 44.0), (1080, 1920, 0.20, 38.0))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SPECS = {
    "short side 256, centre 224": Preprocess(size=(224, 224), resize=256, mean=MEAN, std=STD),
    "whole frame to 224": Preprocess(size=(224, 224), mean=MEAN, std=STD),
}
CALLS = 9


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the tensor: a call, and its pixels before they are normalised."""

    name: str
    call: Callable[[], object]
    pixels: Image


def with_helper(allowed: bool) -> None:
    """Let `preprocess` use the compiled helper, or keep it to NumPy."""
    os.environ.pop(native.OFF, None)
    if not allowed:
        os.environ[native.OFF] = "1"


def timed_rounds(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The median time in ms of each way in each round, after one call that is not timed."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            with_helper(name != "numpy")
            call()
            spent = []
            for _ in range(CALLS):
                started_ns = time.perf_counter_ns()
                call()
                spent.append((time.perf_counter_ns() - started_ns) / 1e6)
            times[name].append(median(spent))
    return times


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """The middle one, and the order statistics around it that hold the true middle with 95 %."""
    ordered = sorted(ratios)
    reach = round(0.98 * len(ordered) ** 0.5)
    middle = len(ordered) // 2
    low, high = max(0, middle - reach), min(len(ordered) - 1, middle + reach)
    return median(ordered), ordered[low], ordered[high]


def psnr_db(ours: Image, reference: Image) -> float:
    error = np.mean((ours.astype(np.float64) - reference) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ways(frame: Image, spec: Preprocess, *, helper: bool) -> list[Way]:
    """Pillow's resize, then ours in NumPy and, where it can be compiled, through the helper."""
    height, width = frame.shape[:2]
    side = spec.resize or 224
    target = (side, side) if spec.resize is None else (int(side * width / height), side)
    rgb = frame[:, :, ::-1]
    picture = PIL.Image.fromarray(np.ascontiguousarray(rgb))
    scaled = np.asarray(picture.resize(target, PIL.Image.Resampling.BILINEAR))
    top, left = round((target[1] - 224) / 2), round((target[0] - 224) / 2)
    tensor = np.empty(spec.tensor_shape(), dtype=np.float32)
    found = [
        Way(
            "pillow",
            lambda: picture.resize(target, PIL.Image.Resampling.BILINEAR),
            scaled[top : top + 224, left : left + 224],
        )
    ]
    for name in ("numpy", "helper")[: 1 + helper]:
        with_helper(name == "helper")
        found.append(Way(name, lambda: preprocess(rgb, spec, out=tensor), resized(rgb, spec)))
    return found


def main(rounds: int) -> bool:
    try:
        native.build_helper()
        helper = True
    except EngineError as error:
        print(f"without the helper: {error}")
        helper = False
    held = True
    for height, width, most, least_db in CLAIMS:
        frame = next(natural_images(1, height=height, width=width, seed=3))[:, :, ::-1].copy()
        for geometry, spec in SPECS.items():
            found = ways(frame, spec, helper=helper)
            times = timed_rounds({way.name: way.call for way in found}, rounds)
            print(f"\n{width}x{height}, {geometry}; Pillow {median(times['pillow']):.2f} ms")
            for way in found[1:]:
                pairs = zip(times[way.name], times["pillow"], strict=True)
                ratio, low, high = interval([ours / theirs for ours, theirs in pairs])
                quality_db = psnr_db(way.pixels, found[0].pixels)
                print(
                    f"  {way.name:<7} {median(times[way.name]):6.3f} ms   "
                    f"{ratio:.3f} ({low:.3f} to {high:.3f}) of Pillow's   PSNR {quality_db:.1f} dB"
                )
            holds = ratio <= most and quality_db >= least_db
            verdict = "holds" if holds else "DOES NOT HOLD"
            print(f"  claim: at most {most}, at least {least_db:.0f} dB: {verdict}")
            held &= holds
    return held


if __name__ == "__main__":
    sys.exit(not main(int(sys.argv[1]) if sys.argv[1:] else 41))
