"""How the measuring tells what it does, and where it keeps its blocks until it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgecnn.counted import counted
from edgecnn.errors import EdgecnnError
from edgecnn.files import sha256_of
from edgecnn.pipeline.narrator import Narrator
from edgecnn.profiling.journal import Journal
from edgecnn.profiling.options import Listener, Options, Step
from edgecnn.profiling.plan import Plan
from edgecnn.runtime.cache import unfinished_file

_OLD_S = 24 * 3600  # a device is no longer what it was
_DEVICE = ("name", "model", "cpu", "kernel", "governor", "power_mode", "versions")
_DOING, _NAME = 12, 30  # columns of the bar's words
_RUNS = {
    "engine": "one run at a time",
    "frame": "one frame at a time",
    "throughput": "several runs at a time",
}


class Hearing:
    """Hears a measurement and tells it to a narrator; `blocks_missing` after an interruption."""

    def __init__(
        self, narrator: Narrator, files: Sequence[Path], options: Options, *, keep_interrupted: bool
    ) -> None:
        self.blocks_missing = 0
        self._keep_interrupted = keep_interrupted
        self._narrator = narrator
        self._files = files
        self._options = options
        self._done = 0

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """Listen; what is kept of work that a person or a device ends is told."""
        with self._narrator.progress("measure") as show:

            def step(step: Step) -> None:
                name = Path(step.file).name
                short = name if len(name) <= _NAME else f"{name[: _NAME - 10]}…{name[-9:]}"
                show(step.done, step.total, f"{step.doing:<{_DOING}} {short}")

            try:
                yield Listener(
                    step=step,
                    planned=self._planned,
                    progress=self._progress,
                    resumed=self._resumed,
                    interrupted=self._interrupted if self._keep_interrupted else None,
                )
            except (KeyboardInterrupt, EdgecnnError):
                if self._done:
                    kept = counted(self._done, "block is", "blocks are")
                    self._narrator.warn(f"interrupted: {kept} kept; the same command goes on")
                raise

    def _progress(self, done: int, total: int) -> None:
        del total
        self._done = done

    def _planned(self, plan: Plan) -> None:
        files, known_to = counted(len(self._files), "file"), f"{self._options.precision * 100:g} %"
        self._narrator.line(
            "plan",
            f"{files}, {_RUNS[self._options.boundary]}, until the "
            f"medians are known to {known_to}: about {plan.expected_s:.0f} s",
        )

    def _resumed(self, blocks: int) -> None:
        self._done = blocks
        were = counted(blocks, "block was", "blocks were")
        self._narrator.line("resume", f"{were} measured before")

    def _interrupted(self, done: int, total: int) -> None:
        self.blocks_missing = total - done
        self._narrator.warn(
            f"interrupted after {done} of {counted(total, 'block')}: the report is of these; "
            "the same command goes on from here"
        )


def unfinished_profile(
    files: Sequence[Path], options: Options, device: Mapping[str, Any], *, images: Path | None
) -> Journal:
    """Where blocks of these very files, measured like this on this device, are kept.

    What is a day old is thrown away: the device is no longer in that state.
    """
    key = {
        "files": " ".join(sha256_of(path) for path in files),
        "options": repr((options.engine, options.threads, options.batch, options.streams,
                         options.boundary, options.seed)),
        "images": str(images),
        "preprocess": repr([options.contracts[path].preprocess for path in files]),
        "device": repr({name: device.get(name) for name in _DEVICE}),
    }  # fmt: skip
    journal = Journal(unfinished_file("profile", key), files=len(files))
    if journal.path.is_file() and time.time() - journal.path.stat().st_mtime > _OLD_S:
        journal.remove()
    return journal
