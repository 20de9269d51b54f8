"""Always the newest frame of a camera, whatever the camera does."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from edgecnn.errors import DeviceError
from edgecnn.runtime.frames import Frame, captured
from edgecnn.runtime.handover import Handover
from edgecnn.runtime.preprocess import Image, checked
from edgecnn.runtime.sources.base import Opener, Source, Wanted
from edgecnn.runtime.sources.find import Address, find_source

FIRST_WAIT_S = 0.1  # before a lost camera is opened again; doubled each time
_LONGEST_WAIT_S = 5.0
_JOIN_S = 1.0  # close() waits so long for a driver to come back
_LATE = 1.5  # frame intervals


class Camera:
    """Frames of a camera, a stream, a video, a folder of images or any iterable, as they come.

    A thread reads the source and keeps the newest frame only: one that nobody has taken when the
    next one comes is dropped and counted. With `lossless` the source waits instead; that is the
    default for files, folders and iterables. A live source that is lost is opened again, for as
    long as it takes. `late` counts frames that came more than half an interval behind the rhythm
    that was asked for with `fps` or that the source announces.

    A function that returns an iterable is a live source, too: it is called again when an OSError
    comes out of its frames.

    Raises UsageError, DataError or DeviceError where the source cannot be opened, DeviceError
    where it does not answer within `timeout_s`.
    """

    def __init__(
        self,
        source: Address,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        lossless: bool | None = None,
        backend: str = "auto",
        timeout_s: float = 10.0,
    ) -> None:
        wanted = Wanted(size=size, fps=fps, paced=lossless is False, lossless=lossless is True)
        self._opener: Opener = find_source(source, wanted, backend=backend)
        self.lossless = not self._opener.live if lossless is None else lossless
        self._frames = Handover[Frame](lossless=self.lossless)
        self._fps = fps
        self._taken = itertools.count()
        self._closing = threading.Event()
        self._opened = threading.Event()
        self._sequence = self._dropped = self._late = self._reconnects = 0
        self._thread = threading.Thread(target=self._work, name="edgecnn camera", daemon=True)
        self._thread.start()
        self._wait_until_open(timeout_s)

    @property
    def name(self) -> str:
        """The address."""
        return self._opener.name

    @property
    def live(self) -> bool:
        """Whether the source has no end and goes on by itself."""
        return self._opener.live

    @property
    def ended(self) -> bool:
        """Whether no frame will come any more."""
        return self._frames.over

    @property
    def captured(self) -> int:
        """Frames captured."""
        return self._sequence

    @property
    def dropped(self) -> int:
        """Frames captured that nobody took."""
        return self._dropped

    @property
    def late(self) -> int:
        """Frames that came later than the source's rhythm says; 0 where there is none."""
        return self._late

    @property
    def reconnects(self) -> int:
        """How often the source was lost and opened again."""
        return self._reconnects

    def read(self, timeout_s: float | None = None) -> Frame | None:
        """The newest frame that was not taken yet, waited for; None at the end or in vain.

        Raises DataError or DeviceError where a source that is not live breaks.
        """
        frame = self._frames.take(timeout_s)
        if frame is None:
            return None
        return dataclasses.replace(frame, dropped=frame.sequence - next(self._taken))

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the source ends or the camera is closed."""
        while (frame := self.read()) is not None:
            yield frame

    def close(self) -> None:
        """Stop, within about a second.

        A driver that hangs in a call keeps its thread, which ends when the call does.
        """
        self._closing.set()
        self._frames.clear()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def _wait_until_open(self, timeout_s: float) -> None:
        if not self._opened.wait(timeout_s):
            self.close()
            raise DeviceError(
                f"{self.name}: no answer within {timeout_s:g} s",
                hint="check the address and the camera, or give it more time: timeout_s",
            )
        if self._frames.over and not self._sequence:
            self._frames.take()  # raises what went wrong, if anything did

    def _work(self) -> None:
        """The thread: open, read, and open again what was lost."""
        wait_s = FIRST_WAIT_S
        while not self._closing.is_set():
            try:
                before = self._sequence
                self._read_all()
            except Exception as error:
                if not self._is_survived(error):
                    self._give_up(error)
                    return
            else:
                if not self._opener.endless:
                    self._give_up(None)
                    return
            wait_s = FIRST_WAIT_S if self._sequence > before else min(2 * wait_s, _LONGEST_WAIT_S)
            self._closing.wait(wait_s)

    def _is_survived(self, error: Exception) -> bool:
        return self._opener.live and self._opened.is_set() and isinstance(error, DeviceError)

    def _give_up(self, error: Exception | None) -> None:
        self._frames.end(error)
        self._opened.set()

    def _read_all(self) -> None:
        """One life of the source, from opening it to its end."""
        source = self._opener.open()
        self._reconnects += self._opened.is_set()
        try:
            self._opened.set()
            self._pump(source)
        finally:
            source.close()

    def _pump(self, source: Source) -> None:
        fps = self._fps or source.fps
        late_ns = _LATE * 1e9 / fps if fps and not self.lossless else None
        before_ns: int | None = None
        while not self._closing.is_set():
            image = source.read()
            now_ns = time.monotonic_ns()
            if image is None:
                return
            if late_ns is not None and before_ns is not None and now_ns - before_ns > late_ns:
                self._late += 1
            before_ns = now_ns
            self._give(image, now_ns)

    def _give(self, image: Image, now_ns: int) -> None:
        frame = Frame(captured(checked(image), now_ns), now_ns, self._sequence, dropped=0)
        self._sequence += 1
        if self._frames.put(frame) is not None:
            self._dropped += 1
