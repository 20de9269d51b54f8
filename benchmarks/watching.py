"""What watching for drift costs a stream.

    python -m benchmarks.watching

MobileNetV2 INT8 on one thread, frames of 1280x720 as fast as they are answered: the same file
without a memory of what was usual, with it (the input and the confidence of each frame are
compared), and with `watch_ranges` (inner layers of each 30th frame, too, in a second session). The
three in turn in one process, streams of 120 frames; CPU time of all threads for each frame, and
what the process holds at the end of the first stream.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.networks import OUTPUT, files
from edgecnn.datasets.natural import natural_images
from edgecnn.onnxfile import read_contract, write_contract
from edgecnn.runtime import Camera, Model, build_helper, load
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.race import ratio, take_turns

_FRAMES = 120


@dataclass(slots=True)
class Streamed:
    """A visit streams all frames; how much the process held at the end of the first one."""

    model: Model
    frames: Sequence[Image]
    watch_ranges: bool
    rss_bytes: int = 0

    def __call__(self, _: int) -> tuple[int]:
        """Nanoseconds of CPU, of all threads, for each frame."""
        with (
            Camera(self.frames) as camera,
            self.model.stream(camera, watch_ranges=self.watch_ranges) as stream,
        ):
            began_ns = time.process_time_ns()
            answered = sum(1 for _ in stream)
            taken_ns = time.process_time_ns() - began_ns
            self.rss_bytes = self.rss_bytes or resident_bytes()
        return (taken_ns // answered,)


def resident_bytes() -> int:
    """What the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def without_memory(path: Path, folder: Path) -> Path:
    """The same file, as if nobody had looked at what is usual."""
    contract = read_contract(path)
    provenance = {**contract.provenance, "steps": []}
    bare = folder / path.name
    write_contract(path, bare, dataclasses.replace(contract, provenance=provenance))
    return bare


def main() -> None:
    """Measure the three and print what the watching adds."""
    OUTPUT.mkdir(exist_ok=True)
    _, int8 = files("mobilenetv2")
    build_helper()
    frames = [*natural_images(8, height=720, width=1280, seed=3)] * (_FRAMES // 8)
    with (
        TemporaryDirectory() as folder,
        load(without_memory(int8, Path(folder)), threads=1) as bare,
        load(int8, threads=1) as model,
    ):
        ways = {
            "no watch": Streamed(bare, frames, watch_ranges=False),
            "input and confidence": Streamed(model, frames, watch_ranges=False),
            "inner ranges, too": Streamed(model, frames, watch_ranges=True),
        }
        for way in ways.values():
            way(0)
        taken_ms = dict(zip(ways, take_turns(tuple(ways.values())), strict=True))
    kept = {name: ms.tolist() for name, ms in taken_ms.items()}
    (OUTPUT / "watching.json").write_text(json.dumps({"format": 1, "cpu_ms": kept}))
    first = ways["no watch"]
    for name, ms in taken_ms.items():
        share = ratio(ms, taken_ms["no watch"]).told
        more_mb = (ways[name].rss_bytes - first.rss_bytes) / 1e6
        print(f"{name:<22}{ms.mean():6.2f} ms of CPU a frame, {share}   memory +{more_mb:.1f} MB")


if __name__ == "__main__":
    main()
