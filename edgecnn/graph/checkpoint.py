"""The state of a long calibration, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from edgecnn.errors import FileError
from edgecnn.files import atomic_path
from edgecnn.graph.observe import BINS, Histogram
from edgecnn.graph.wiring import FloatArray

EVERY_S = 10.0  # what an interruption costs at most; shorter calibrations write nothing

Seen = Mapping[str, Histogram]


@dataclass(slots=True)
class Checkpoint:
    """A file that holds what was seen of the images so far.

    Its name must say which model, images and options it belongs to. `images_from` gives the images
    (1, ...) from a place on; `heard` is told how many an earlier run had done, or None where its
    file is damaged. A file that cannot be written costs time after an interruption, nothing else.
    """

    path: Path
    images_from: Callable[[int], Iterator[FloatArray]]
    heard: Callable[[int | None], None]
    every_s: float = EVERY_S
    _next_s: float = field(default=0.0, init=False)

    def recall(self, tensors: Sequence[str]) -> tuple[int, dict[str, Histogram]]:
        """How many images an earlier run had done, and the histograms of these tensors then."""
        self._next_s = time.monotonic() + self.every_s
        fresh = {name: Histogram() for name in tensors}
        try:
            done, seen = _read(self.path)
        except FileNotFoundError:
            return 0, fresh
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            self.heard(None)
            return 0, fresh
        if list(seen) != list(tensors):
            return 0, fresh
        self.heard(done)
        return done, seen

    def pass_by(self, done: int, seen: Seen) -> None:
        """Write the state down where that is due."""
        if time.monotonic() < self._next_s:
            return
        with contextlib.suppress(OSError, FileError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.path) as temporary, temporary.open("wb") as stream:
                np.savez(
                    stream,
                    done=np.array(done),
                    names=np.array(list(seen), np.str_),
                    counts=np.stack([histogram.counts for histogram in seen.values()]),
                    numbers=np.array([histogram.numbers for histogram in seen.values()]),
                )
        self._next_s = time.monotonic() + self.every_s

    def forget(self) -> None:
        """Remove the file: all is done."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[int, dict[str, Histogram]]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        done, names = int(stored["done"]), stored["names"].tolist()
        counts, numbers = stored["counts"], stored["numbers"]
    if done < 1 or counts.shape != (len(names), BINS) or counts.dtype != np.int64:
        raise ValueError("not a state of histograms")
    parts = zip(names, counts, numbers, strict=True)
    return done, {name: Histogram.restored(count, row) for name, count, row in parts}
