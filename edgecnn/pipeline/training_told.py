"""How a training is told while it runs: its photos, its epochs."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from edgecnn.contract import Preprocess
from edgecnn.datasets.classified import Classified, open_classified
from edgecnn.datasets.parts import Parts, split_parts
from edgecnn.pipeline.listening import heard, kind_of, reader
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.train_options import TrainOptions

if TYPE_CHECKING:
    from edgecnn.training.learn import Epoch

_UNEVEN = 1.5  # times as many photos in one class as in another
_TOLD_BROKEN = 5
_TOLD_EPOCHS = 10
_SILENCE_S = 10.0


def look_at_photos(
    options: TrainOptions, spec: Preprocess, narrator: Narrator
) -> tuple[Classified, Parts]:
    """The photos or sounds that can be read, told about, and their parts."""
    with narrator.progress(kind_of(spec)) as progress:
        photos = open_classified(
            options.data, classes=options.classes, check=reader(spec), progress=progress
        )
    parts = split_parts(photos, held_out=options.held_out, seed=options.seed)
    counts = photos.counts
    least, most = counts.min(), counts.max()
    spread = f"{least} to {most} each" if least < most else f"{least} each"
    even = most <= _UNEVEN * least or options.pace.balance is False
    weighed = "" if even else "; rare classes weigh more"
    narrator.line(
        kind_of(spec), f"{len(photos.paths):,} of {len(photos.labels)} classes, {spread}{weighed}"
    )
    if spec.melspectrogram is not None:
        narrator.line("listen", heard(spec.melspectrogram))
    for error in photos.broken[:_TOLD_BROKEN]:
        narrator.warn(f"left out: {error}")
    if len(photos.broken) > _TOLD_BROKEN:
        narrator.warn(f"left out: {len(photos.broken) - _TOLD_BROKEN} more; the report lists them")
    sizes = (
        f"{len(parts.train):,} train, {len(parts.watched):,} watch, {len(parts.held_out):,} judge"
    )
    bound = (
        f"; {parts.bound:,} duplicates or of a burst stay with their like" if parts.bound else ""
    )
    narrator.line("split", f"{sizes}{bound}")
    return photos, parts


class Teller:
    """Tells about a tenth of the epochs, and all of a slow training; `done` of them are."""

    def __init__(self, total: int, narrator: Narrator) -> None:
        self.done = 0
        self._total = total
        self._narrator = narrator
        self._told_s = -math.inf

    def heard(self, epoch: Epoch) -> None:
        """One more epoch is done."""
        if self.done == 0 and epoch.number > 1:
            self._narrator.line("resume", f"behind epoch {epoch.number - 1}, done before")
        self.done = epoch.number
        now_s = time.monotonic()
        due = epoch.number % max(1, self._total // _TOLD_EPOCHS) == 0 or epoch.number == self._total
        if not due and now_s - self._told_s < _SILENCE_S:
            return
        self._told_s = now_s
        left_s = epoch.seconds * (self._total - epoch.number)
        watched = (
            "" if epoch.watched_accuracy is None else f", watched {epoch.watched_accuracy:.1%}"
        )
        self._narrator.line(
            "epoch",
            f"{epoch.number} of {self._total}: loss {epoch.loss:.3f}, "
            f"train {epoch.accuracy:.1%}{watched}; {_duration(left_s)} left",
        )


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
