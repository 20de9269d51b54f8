"""Claim: a stream stays close to its camera and flat in memory for as long as it runs.

    make soak        or        python -m benchmarks.soak [MINUTES] [--any-age]

A synthetic camera of 60 frames a second against a model of 20 ms, the source unplugged 100 times on
the way (more time is taken where that needs more). Every unplugging must be survived; memory at the
end must be within 2 MB of what it was after a tenth of the time; no thread and no file descriptor
may be left. The age of an answer's frame must stay below one frame interval, the model and 5 ms in
99 % of all answers; `--any-age` does not judge that, for machines that do other things meanwhile.
How late the machine itself wakes the camera, which sleeps and does nothing else, is told beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from edgecnn.runtime import Camera, Model, load
from edgecnn.runtime.camera import FIRST_WAIT_S
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.stream import Stream

FPS = 60
MODEL_S = 0.020
SLACK_S = 0.005
UNPLUGGED = 100
FLAT_BYTES = 2_000_000
MOST_TIMES = 5  # as long as was asked for, until every unplugging is done
COMES_BACK_S = 60


class Milliseconds:
    """Any number of times in the same memory, told to a tenth of a millisecond."""

    def __init__(self) -> None:
        self._counts = np.zeros(20_000, dtype=np.int64)

    def add(self, value_s: float) -> None:
        """One time; two seconds and more are all the same."""
        self._counts[min(max(0, int(value_s * 1e4)), len(self._counts) - 1)] += 1

    def percentile(self, share: float) -> float:
        """What so much of 100 % stayed within, in ms."""
        upto = np.cumsum(self._counts)
        return (int(np.searchsorted(upto, upto[-1] * share / 100)) + 1) / 10

    def __len__(self) -> int:
        return int(self._counts.sum())


class Plug:
    """A camera that ticks by the clock, not by what its reader takes, and is pulled out again.

    `unplugged` counts how often that has happened; `stays` ends it.
    """

    def __init__(self, life_s: float) -> None:
        self.late = Milliseconds()
        self.unplugged = 0
        self.stays = False
        self._life_s = life_s

    def __call__(self) -> Iterator[Image]:
        """One life."""
        started_s, tick = time.monotonic(), 0
        while self.stays or time.monotonic() - started_s < self._life_s:
            tick += 1
            due_s = started_s + tick / FPS
            time.sleep(max(0.0, due_s - time.monotonic()))
            self.late.add(time.monotonic() - due_s)
            yield np.full((240, 320, 3), tick % 256, dtype=np.uint8)
        self.unplugged += 1
        raise OSError(19, "No such device")


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came out; `left` are threads and files that were not there before.

    `ages` are those of the frames when they were answered, `late` how late the machine woke the
    camera. `rss_bytes` were taken at even distances.
    """

    unplugged: int
    reconnects: int
    ages: Milliseconds
    late: Milliseconds
    rss_bytes: tuple[int, ...]
    left: tuple[int, int]

    @property
    def growth_bytes(self) -> float:
        """The middle of the last tenth against the middle of the second tenth."""
        tenth = max(1, len(self.rss_bytes) // 10)
        return median(self.rss_bytes[-tenth:]) - median(self.rss_bytes[tenth : 2 * tenth])

    @property
    def problems(self) -> tuple[str, ...]:
        """What was lost or left behind."""
        found = []
        if self.unplugged < UNPLUGGED:
            found.append(f"unplugged {self.unplugged} times of {UNPLUGGED} in the time there was")
        if self.reconnects != self.unplugged:
            found.append(f"came back {self.reconnects} times of {self.unplugged}")
        if self.growth_bytes > FLAT_BYTES:
            found.append(f"memory grew by {self.growth_bytes / 1e6:.1f} MB")
        if any(self.left):
            found.append(f"{self.left[0]} threads and {self.left[1]} files are left")
        return tuple(found)


def soak(model: Model, *, seconds: float) -> Soaked:
    """Run one; `model` should be fast, it is made to take 20 ms."""
    before = _threads_and_files()
    ages, rss_bytes = Milliseconds(), list[int]()
    plug = Plug(max(1 / FPS, seconds / UNPLUGGED - FIRST_WAIT_S))
    started_s = time.monotonic()
    with Camera(plug) as camera, model.stream(camera) as stream:
        while _goes_on(plug, time.monotonic() - started_s, seconds):
            if _answer(stream, ages) and len(ages) % 25 == 0:
                rss_bytes.append(_rss_bytes())
        plug.stays = True
        gives_up_s = time.monotonic() + COMES_BACK_S
        while camera.reconnects < plug.unplugged and time.monotonic() < gives_up_s:
            stream.read(1.0)
        unplugged, reconnects = plug.unplugged, camera.reconnects
    after = _threads_and_files()
    left = (after[0] - before[0], after[1] - before[1])
    return Soaked(unplugged, reconnects, ages, plug.late, tuple(rss_bytes), left)


def _goes_on(plug: Plug, passed_s: float, seconds: float) -> bool:
    done = passed_s >= seconds and plug.unplugged >= UNPLUGGED
    return not done and passed_s < MOST_TIMES * seconds


def _answer(stream: Stream, ages: Milliseconds) -> bool:
    answer = stream.read(1.0)
    if answer is None:
        return False
    time.sleep(MODEL_S)
    ages.add(answer.frame.age_ms / 1e3)
    return True


def _threads_and_files() -> tuple[int, int]:
    return threading.active_count(), len([*Path("/proc/self/fd").iterdir()])


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(minutes: float, *, any_age: bool) -> bool:
    """Run it and say what came out."""
    from tests.profiling.toys import write_color_net

    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGECNN_CACHE"] = folder
        with load(write_color_net(Path(folder) / "net.onnx"), threads=1) as model:
            found = soak(model, seconds=60 * minutes)
    ages, late = found.ages, found.late
    allowed_ms = 1e3 * (1 / FPS + MODEL_S + SLACK_S)
    print(
        f"{len(ages)} answers, unplugged {found.unplugged} times and back {found.reconnects}, "
        f"memory {found.growth_bytes / 1e6:+.2f} MB, "
        f"{found.left[0]} threads and {found.left[1]} files left\n"
        f"age of the frame p50 {ages.percentile(50):.1f} ms, p99 {ages.percentile(99):.1f}, "
        f"p99.9 {ages.percentile(99.9):.1f}; the camera was woken late by "
        f"p99 {late.percentile(99):.1f} ms, p99.9 {late.percentile(99.9):.1f}"
    )
    held = not found.problems and (any_age or ages.percentile(99) <= allowed_ms)
    judged = "nothing lost or left" if any_age else f"age at most {allowed_ms:.1f} ms, nothing lost"
    print(f"claim: {judged}: {'holds' if held else 'DOES NOT HOLD'}", *found.problems, sep="\n")
    return held


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=30)
    parser.add_argument("--any-age", action="store_true")
    given = parser.parse_args()
    sys.exit(not main(given.minutes, any_age=given.any_age))
