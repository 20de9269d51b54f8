"""A child process that is spoken to in lines, and that never outlives us."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from edgecnn.errors import DeviceError

_MAX_LINE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16
_GOODBYE_S = 2.0
_LAST_WORDS_BYTES = 4096


class Process:
    """One child, in a session of its own so that Ctrl-C reaches it only through us.

    Its stderr goes to a file: nobody has to empty a pipe while it works.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._pending = b""
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

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def write_line(self, line: str) -> None:
        """Send a line; a child that has gone shows in the next `read_line`."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(line.encode() + b"\n")

    def read_line(self, *, timeout_s: float) -> str:
        """The next line of its stdout, '' at the end; raises DeviceError when it takes too long."""
        deadline_s = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            chunk = self._read_chunk(deadline_s - time.monotonic())
            if not chunk:
                break
            self._pending += chunk
            if len(self._pending) > _MAX_LINE_BYTES:
                raise DeviceError("a device answered without end", hint="check what runs there")
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode("utf-8", errors="replace")

    def last_words(self) -> str:
        """The last line it left on stderr, or how it ended where it left none."""
        self._wait(_GOODBYE_S)
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _LAST_WORDS_BYTES))
        lines = self._stderr.read().decode("utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
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
            raise DeviceError(
                f"no answer from process {self.pid}", hint="is the machine overloaded? run it again"
            )
        chunk: bytes = os.read(self._child.stdout.fileno(), _CHUNK_BYTES)
        return chunk

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
