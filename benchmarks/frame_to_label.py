"""Claim: a BGR frame to its label takes at most 0.6 of a straightforward loop's time.

    python -m benchmarks.frame_to_label [ROUNDS]    needs OpenCV: pip install opencv-python-headless

MobileNetV2 INT8, one thread, 1280x720. The loop is what tutorials show: cv2.cvtColor, cv2.resize,
centre crop, NumPy's normalisation, onnxruntime. With INTER_AREA it shrinks without aliasing, as the
network was trained; with INTER_LINEAR, OpenCV's default, it is faster and sees another picture.
"alone" is the engine by itself, a tensor to its outputs: no preprocessing gets below its share.
"preprocess" is a frame to that tensor; what is left is what the two take from each other's caches.
"""

from __future__ import annotations

import contextlib
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
from collections.abc import Callable
from functools import partial
from statistics import median

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks import claims
from benchmarks.networks import OUTPUT, files
from benchmarks.preprocess import MEAN, STD, interval, timed_rounds
from edgecnn.datasets.natural import natural_images
from edgecnn.runtime import build_helper, load
from edgecnn.runtime.auto import is_installed
from edgecnn.runtime.preprocess import Image

MOST = 0.6
LOOPS = ("INTER_AREA", "INTER_LINEAR")


def straightforward(session: onnxruntime.InferenceSession, how: int) -> Callable[[Image], int]:
    """The loop of the tutorials."""
    (name,) = (item.name for item in session.get_inputs())
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def classify(frame: Image) -> int:
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        height, width = rgb.shape[:2]
        scale = 256 / min(height, width)
        rgb = cv2.resize(rgb, (int(width * scale), int(height * scale)), interpolation=how)
        top, left = (rgb.shape[0] - 224) // 2, (rgb.shape[1] - 224) // 2
        pixels = rgb[top : top + 224, left : left + 224].astype(np.float32) / 255
        tensor = ((pixels - mean) / std).transpose(2, 0, 1)[None]
        logits: NDArray[np.float32] = session.run(None, {name: np.ascontiguousarray(tensor)})[0]
        return int(logits.argmax())

    return classify


def main(rounds: int) -> bool:
    OUTPUT.mkdir(exist_ok=True)
    _, int8 = files("mobilenetv2")
    cv2.setNumThreads(1)
    build_helper()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(int8), options, providers=["CPUExecutionProvider"])
    rgb = next(natural_images(1, height=720, width=1280, seed=3))
    frame = rgb[:, :, ::-1].copy()
    area, linear = (straightforward(session, how) for how in (cv2.INTER_AREA, cv2.INTER_LINEAR))
    ways: dict[str, Callable[[], object]] = {
        LOOPS[0]: lambda: area(frame),
        LOOPS[1]: lambda: linear(frame),
    }
    with contextlib.ExitStack() as stack:
        for engine in filter(is_installed, ("onnxruntime", "openvino")):
            model = stack.enter_context(load(int8, engine=engine, threads=1))
            ways[engine] = partial(model, frame[:, :, ::-1])
            ways[f"{engine} alone"] = partial(model.outputs, model.preprocess(rgb))
            ways["preprocess"] = partial(model.preprocess, frame[:, :, ::-1])
        times = timed_rounds(ways, rounds)
    ratios = {
        (name, loop): told(times, name, loop)
        for loop in LOOPS
        for name in ways
        if name not in LOOPS
    }
    held = ratios["onnxruntime", LOOPS[0]] <= MOST
    return claims.told(f"at most {MOST} of the loop with {LOOPS[0]}", held)


def told(times: dict[str, list[float]], name: str, loop: str) -> float:
    """The share of a loop's time that a way takes, printed with its interval."""
    pairs = zip(times[name], times[loop], strict=True)
    ratio, low, high = interval([ours / theirs for ours, theirs in pairs])
    print(
        f"{name:<18} {median(times[name]):6.2f} ms   {ratio:.3f} ({low:.3f} to {high:.3f}) "
        f"of {loop}'s {median(times[loop]):.2f} ms"
    )
    return ratio


if __name__ == "__main__":
    sys.exit(not main(int(sys.argv[1]) if sys.argv[1:] else 41))
