"""One profile on several devices at the same time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from edgecnn.errors import EdgecnnError, UsageError
from edgecnn.pipeline.measure import ProfileOptions, profile
from edgecnn.pipeline.narrator import Narrator, Progress
from edgecnn.profiling.records import Report


@dataclass(frozen=True, slots=True)
class Several:
    """The reports of the devices that answered, in their order, and the errors of those not."""

    reports: tuple[Report, ...]
    errors: tuple[EdgecnnError, ...]


@dataclass(frozen=True, slots=True)
class _Named:
    """A narrator that says which device it is about; bars of several would cover each other.

    Once `stop` is set, it ends the work where it next tells how far it is: Ctrl-C reaches only the
    thread that waits for the others.
    """

    narrator: Narrator
    device: str
    stop: Event

    def line(self, label: str, text: str) -> None:
        self.narrator.line(label, f"{self.device}: {text}")

    def warn(self, text: str) -> None:
        self.narrator.warn(f"{self.device}: {text}")

    def progress(self, label: str, *, unit: str = "") -> AbstractContextManager[Progress]:
        return nullcontext(self._go_on)

    def _go_on(self, done: int, total: int, what: str = "") -> None:
        del done, total, what
        if self.stop.is_set():
            raise KeyboardInterrupt


def profile_on(
    devices: Sequence[str],
    files: Sequence[Path],
    *,
    options: ProfileOptions,
    narrator: Narrator,
) -> Several:
    """Profile the same files on several devices at once, each a machine of its own.

    One that fails takes no other with it. Raises UsageError for a device that is named twice.
    """
    if twice := [name for name in devices if devices.count(name) > 1]:
        raise UsageError(f"--device {twice[0]} is named twice", hint="name each device once")
    stop = Event()
    with ThreadPoolExecutor(max_workers=len(devices)) as threads:
        running = [
            threads.submit(
                profile,
                files,
                options=dataclasses.replace(options, device=name, keep_interrupted=False),
                narrator=_Named(narrator, name, stop),
            )
            for name in devices
        ]
        try:
            wait(running)
        finally:
            stop.set()
    reports, errors = [], []
    for future in running:
        error = _our_error(future)
        if error is None:
            reports.append(future.result())
        else:
            errors.append(error)
    return Several(tuple(reports), tuple(errors))


def _our_error(future: Future[Report]) -> EdgecnnError | None:
    error = future.exception()
    if error is None or isinstance(error, EdgecnnError):
        return error
    raise error
