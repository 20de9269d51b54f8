"""A stream's look at the inner activations: every 30th frame, in a thread of its own.

They are read in ONNX Runtime, whichever engine answers, from a second session: the file's own graph
with these activations as further outputs. So the figures are those that quantizing has written.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecnn.errors import EdgecnnError, ModelError
from edgecnn.runtime.compiled import open_tapped
from edgecnn.runtime.handover import Handover
from edgecnn.runtime.preprocess import Tensor
from edgecnn.runtime.ranges import Inner, Usage, Usual, told, usage

_EVERY = 30  # frames: one a second of a camera
_LOOKS = 10  # the latest, out of 300 frames; none is judged before
_JOIN_S = 1.0


class Gauge:
    """Reads how inner activations of a file use their integers.

    Raises EngineError where ONNX Runtime is not installed, ModelError or FileError for the file.
    """

    def __init__(self, path: Path, inners: Sequence[Inner]) -> None:
        self.inners = tuple(inners)
        self._engine = open_tapped(path, tuple(inner.name for inner in inners))
        self._input = self._engine.inputs[0]
        dtypes = {spec.name: spec.dtype for spec in self._engine.outputs}
        for inner in inners:
            if dtypes[inner.name] not in ("uint8", "int8"):
                raise ModelError(
                    f"{path}: {inner.name} holds {dtypes[inner.name]}, no 8-bit integers",
                    hint="quantize it again",
                )

    def read(self, tensor: Tensor) -> tuple[Usage, ...]:
        """For a preprocessed batch of one; where the file has a fixed batch it is repeated."""
        feeds = {self._input.name: np.repeat(tensor, self._input.batch or 1, axis=0)}
        found = self._engine.run(feeds)
        return tuple(usage(found[inner.name], inner) for inner in self.inners)

    def close(self) -> None:
        """Give the memory back."""
        self._engine.close()


class RangeWatch:
    """Compares some frames of a file with what is usual of it; where that is nothing, it is idle.

    Where the source is lossless a frame waits for the one that is being looked at, else it is left
    out. Nothing is looked at before `start`. Raises what opening a `Gauge` raises.
    """

    def __init__(self, path: Path, usuals: Sequence[Usual], *, lossless: bool) -> None:
        self._usuals = tuple(usuals)
        self._frames = 0
        self._looks: deque[tuple[Usage, ...]] = deque(maxlen=_LOOKS)
        self._waiting = Handover[Tensor](lossless=lossless)
        self._failure = ""
        self._thread: threading.Thread | None = None
        if usuals:
            gauge = Gauge(path, [usual.inner for usual in usuals])
            self._thread = threading.Thread(
                target=self._work, args=(gauge,), name="edgecnn ranges", daemon=True
            )

    def start(self) -> None:
        """Begin to look."""
        if self._thread is not None:
            self._thread.start()

    def offer(self, tensor: Tensor) -> None:
        """One frame, a preprocessed batch of one that may be filled again after the call."""
        if self._usuals and self._frames % _EVERY == 0:
            self._waiting.put(tensor.copy())
        self._frames += 1

    def messages(self) -> tuple[str, ...]:
        """What the layers do otherwise than usual for most of the latest frames looked at.

        Or why they are looked at no longer.
        """
        if self._failure:
            return (f"inner layers are no longer watched: {self._failure}",)
        looks = tuple(self._looks)
        return told(self._usuals, looks) if len(looks) == _LOOKS else ()

    def finish(self) -> None:
        """No frame will come: wait for the last."""
        self._waiting.end()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Stop looking."""
        self._waiting.clear()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _work(self, gauge: Gauge) -> None:
        try:
            while (tensor := self._waiting.take()) is not None:
                self._looks.append(gauge.read(tensor))
        except EdgecnnError as error:  # the camera goes on without it
            self._failure = str(error)
        finally:
            self._waiting.clear()  # nobody waits for a look that will not come
            gauge.close()
