"""A child process that is spoken to in lines, and that never outlives us."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

from edgecnn.errors import DeviceError

MAX_LINE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16
_PIPE_BYTES = 4096  # so much fits into a pipe that select calls writable
_GOODBYE_S = 2.0
_LAST_WORDS_BYTES = 4096


class Process:
    """One child, in a session of its own so that Ctrl-C reaches it only through us.

    Its stderr goes to a file: nobody has to empty a pipe while it works. `who` is what errors call
    it, by default its process id; `lost` is asked at the end of its output whether that was none.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        who: str | None = None,
        lost: Callable[[Process], DeviceError | None] | None = None,
    ) -> None:
        self._lost = lost
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._pending = bytearray()
        self._at_end = False
        try:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=env,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise DeviceError(
                f"{argv[0]}: cannot be started ({error.strerror})", hint="check the installation"
            ) from error
        self._who = who or f"process {self.pid}"

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    @property
    def is_silent(self) -> bool:
        """Whether its stdout has ended and all of it was read: an empty line is no end."""
        return self._at_end and not self._pending

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def write_line(self, line: str) -> None:
        """Send a line; a child that has gone shows in the next `read_line`."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(line.encode() + b"\n")

    def exit_code(self) -> int | None:
        """Its exit code, after a moment of patience; None where it still runs."""
        self._wait(_GOODBYE_S)
        return self._child.poll()

    def write(self, content: bytes, *, timeout_s: float) -> None:
        """Send bytes; raises DeviceError where it takes none for so long.

        As with lines, a child that has gone shows when it is read from.
        """
        assert self._child.stdin is not None
        pipe = self._child.stdin.fileno()
        for start in range(0, len(content), _PIPE_BYTES):
            _, ready, _ = select.select([], [pipe], [], timeout_s)
            if not ready:
                raise self._silent()
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, content[start : start + _PIPE_BYTES])

    def read_line(self, *, timeout_s: float) -> str:
        """The next line of its stdout, '' at the end.

        Raises DeviceError when it takes too long, and where what led to the child was lost.
        """
        deadline_s = time.monotonic() + timeout_s
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            chunk = self._read_chunk(deadline_s - time.monotonic())
            if not chunk:
                self._end_of_output()
                end = searched
                break
            self._pending += chunk
            if len(self._pending) > MAX_LINE_BYTES:
                raise DeviceError(f"{self._who} answers without end", hint="check what runs there")
        line = self._pending[:end].decode("utf-8", errors="replace")
        del self._pending[: end + 1]
        return line

    def read_bytes(self, count: int, *, timeout_s: float) -> bytes:
        """So many bytes of its stdout, or fewer at the end; raises DeviceError as a line does."""
        while len(self._pending) < count:
            chunk = self._read_chunk(timeout_s)
            if not chunk:
                self._end_of_output()
                break
            self._pending += chunk
        content = bytes(self._pending[:count])
        del self._pending[:count]
        return content

    def complaints(self) -> tuple[str, ...]:
        """The last lines that it left on stderr."""
        self._wait(_GOODBYE_S)
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _LAST_WORDS_BYTES))
        lines = self._stderr.read().decode("utf-8", errors="replace").split("\n")
        return tuple(line.strip() for line in lines if line.strip())

    def last_words(self) -> str:
        """The last line it left on stderr, or how it ended where it left none."""
        said = self.complaints()
        return said[-1] if said else _ending(self._child.poll())

    def close(self, *, patiently: bool = True) -> int:
        """End it: by closing its stdin where there is patience, by force after that; exit code."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        if patiently:
            self._wait(_GOODBYE_S)
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        code = self._child.wait()
        self._child.stdout.close()
        self._stderr.close()
        return code

    def _read_chunk(self, timeout_s: float) -> bytes:
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], max(0.0, timeout_s))
        if not ready:
            raise self._silent()
        chunk: bytes = os.read(self._child.stdout.fileno(), _CHUNK_BYTES)
        return chunk

    def _end_of_output(self) -> None:
        self._at_end = True
        if self._lost and (error := self._lost(self)):
            raise error

    def _silent(self) -> DeviceError:
        return DeviceError(
            f"no answer from {self._who}", hint="is the machine overloaded? run it again"
        )

    def _wait(self, timeout_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=timeout_s)


def _ending(code: int | None) -> str:
    if code is None:
        return "it closed its output"
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
