"""Which images teach a quantizer, which judge it, and how far it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from edgecnn.errors import DataError
from edgecnn.graph.wiring import FloatArray

Images = Callable[[], Iterator[FloatArray]]
"""Gives the same preprocessed tensors, float32 (batch, ...), at each call."""

MAX_REPAIR_IMAGES = 256
MAX_HELD_OUT_IMAGES = 64
_HELD_OUT_EVERY = 5


class Split:
    """Calibration images and those kept aside; without the latter every fifth is kept aside."""

    def __init__(self, calibration: Images, held_out: Images | None) -> None:
        self._calibration = calibration
        self._held_out = held_out

    def fit(self) -> Iterator[FloatArray]:
        """The images to learn from; raises DataError where there are none."""
        images = self._calibration() if self._held_out is not None else self._part(judges=False)
        return _some(images, "no calibration images")

    def for_repairs(self) -> Iterator[FloatArray]:
        """As many of them as passes that keep something for each image may use."""
        return itertools.islice(self.fit(), MAX_REPAIR_IMAGES)

    def kept_aside(self) -> Iterator[FloatArray]:
        """The images to judge by; raises DataError where there are none."""
        images = self._held_out() if self._held_out is not None else self._part(judges=True)
        return itertools.islice(_some(images, "no images to judge by"), MAX_HELD_OUT_IMAGES)

    def _part(self, *, judges: bool) -> Iterator[FloatArray]:
        for index, image in enumerate(self._calibration(), start=1):
            if (index % _HELD_OUT_EVERY == 0) == judges:
                yield image


def _some(images: Iterator[FloatArray], complaint: str) -> Iterator[FloatArray]:
    first = next(images, None)
    if first is None:
        raise DataError(complaint, hint="give at least 16 calibration images")
    return itertools.chain([first], images)


class Meter:
    """Counts what is done and says so; without a total nobody is told."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress = progress if total else None
        self._total = total
        self._done = 0

    def tick(self) -> None:
        """One more is done."""
        self._done = min(self._done + 1, self._total)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        """All is done, whatever was skipped."""
        self._done = self._total - 1
        self.tick()
