"""A device somewhere else: the slim runtime and the files travel, one JSON document comes back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from edgecnn.devices.bundle import runtime_archive
from edgecnn.devices.hello import Hello, parse_hello
from edgecnn.devices.needs import refuse_unfit
from edgecnn.devices.process import Process
from edgecnn.devices.talk import Talk
from edgecnn.devices.transport import Transport
from edgecnn.errors import DeviceError
from edgecnn.files import atomic_path, read_error, sha256_of
from edgecnn.onnxfile import read_header

Pushed = Callable[[Path, int, int], None]

_HELLO_S = 60.0
_ANSWER_S = 60.0
_HASH_S = 600.0  # a slow card reads a large file once more
_STALL_S = 60.0
_BEAT_S = 30.0  # the agent there ends what runs after five times as long without
_CHUNK_BYTES = 1 << 20
_MAX_PULL_BYTES = 1 << 30


class RemoteDevice:
    """A machine that a transport reaches; closed, it holds nothing but its cache.

    `python` names the interpreter there. `pushed` hears (file, bytes sent, bytes in all) once for
    each file that is wanted there. Raises DeviceError where the machine cannot be reached, or has
    no Python or NumPy that would do.
    """

    def __init__(
        self, transport: Transport, *, python: str | None = None, pushed: Pushed | None = None
    ) -> None:
        self._transport = transport
        self._python = python
        self._pushed = pushed or _ignore
        self._there: dict[tuple[Path, int, int], str] = {}
        self._runtime: str | None = None
        self._closed = threading.Event()
        self._turn = threading.Lock()
        try:
            self._agent = Talk(transport, "serve", python=python)
            self.hello: Hello = parse_hello(self.name, self._agent.hear(timeout_s=_HELLO_S))
        except BaseException:
            transport.close()
            raise
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def name(self) -> str:
        """What people call it."""
        return self._transport.name

    def run(self, verb: Sequence[str], *, timeout_s: float) -> str:
        """Run a verb of `edgecnn.runtime` there and return what it printed; raises DeviceError."""
        deadline_s = time.monotonic() + timeout_s
        talk, lines = self._started(verb), []
        try:
            while line := talk.process.read_line(timeout_s=deadline_s - time.monotonic()):
                lines.append(line)
            if talk.process.exit_code() != 0:
                raise talk.ended()
        finally:
            talk.process.close(patiently=False)
        return "\n".join(lines)

    def start(self, verb: Sequence[str]) -> Process:
        """Start a verb of `edgecnn.runtime` there to talk to; raises DeviceError."""
        return self._started(verb).process

    def push(self, local: Path) -> str:
        """Bring a file into the device's cache, as far as it is not there; its path there.

        Raises DeviceError where the connection or the disk there fails, FileError where the file
        cannot be read. What was sent before a connection is lost is not sent again.
        """
        try:
            status = local.stat()
            key = (local.resolve(), status.st_size, status.st_mtime_ns)
            if key not in self._there:
                refuse_parts(local)
                with local.open("rb") as stream, self._turn:
                    there, sent = self._put(stream, sha256_of(local), status.st_size)
                self._there[key] = there
                self._pushed(local, sent, status.st_size)
        except OSError as error:
            raise read_error(local, error) from error
        return self._there[key]

    def pull(self, remote: str, local: Path) -> None:
        """Bring a file back, of a gigabyte at most; raises DeviceError, FileError."""
        with self._turn:
            self._get(remote, local)

    def close(self) -> None:
        """End what runs there, and the connection."""
        self._closed.set()
        self._transport.close()

    def _beat(self) -> None:
        """Signs of life: where they end, what runs there ends, though nobody has hung up."""
        while not self._closed.wait(_BEAT_S):
            with self._turn, contextlib.suppress(OSError, ValueError):  # it has just been closed
                self._agent.process.write_line("")

    def _get(self, remote: str, local: Path) -> None:
        size = self._agent.ask({"get": remote}, timeout_s=_ANSWER_S).get("size")
        if not isinstance(size, int) or not 0 <= size <= _MAX_PULL_BYTES:
            raise DeviceError(
                f"{self.name}: {remote} has {size!r:.40} bytes", hint="copy it by scp"
            )
        with atomic_path(local) as temporary, temporary.open("wb") as stream:
            while size:
                chunk = self._agent.process.read_bytes(min(size, _CHUNK_BYTES), timeout_s=_STALL_S)
                if not chunk:
                    raise self._agent.ended()
                stream.write(chunk)
                size -= len(chunk)

    def _started(self, verb: Sequence[str]) -> Talk:
        if self._runtime is None:
            refuse_unfit(self.name, self.hello)
            archive = runtime_archive()
            digest = hashlib.sha256(archive).hexdigest()
            with self._turn:
                self._runtime, _ = self._put(io.BytesIO(archive), digest, len(archive))
        keeper = str(self.hello.pid)
        talk = Talk(self._transport, "run", self._runtime, keeper, *verb, python=self._python)
        try:
            talk.hear(timeout_s=_ANSWER_S)
        except BaseException:
            talk.process.close(patiently=False)
            raise
        return talk

    def _put(self, stream: BinaryIO, sha256: str, size: int) -> tuple[str, int]:
        """The file's path there, and how many bytes had to be sent."""
        for _ in range(2):  # what an interrupted transfer has left may be damaged; it is gone then
            answer = self._agent.ask({"put": sha256, "size": size}, timeout_s=_ANSWER_S)
            if "path" not in answer:
                offset = answer.get("offset")
                if not isinstance(offset, int) or not 0 <= offset <= size:
                    break
                self._send(stream, offset)
                sent, answer = size - offset, self._agent.hear(timeout_s=_HASH_S)
            else:
                sent = 0
            path = answer.get("path")
            if isinstance(path, str) and Path(path).name == sha256 and path.isprintable():
                return path, sent
        raise DeviceError(
            f"{self.name}: a file arrives there otherwise than it was sent",
            hint="is its disk sound? see dmesg there",
        )

    def _send(self, stream: BinaryIO, offset: int) -> None:
        stream.seek(offset)
        while chunk := stream.read(_CHUNK_BYTES):
            self._agent.process.write(chunk, timeout_s=_STALL_S)


def refuse_parts(local: Path) -> None:
    """One file travels: a model whose weights lie beside it would arrive without them."""
    if local.suffix.lower() == ".onnx" and (parts := read_header(local).external):
        raise DeviceError(
            f"{local}: its weights lie in other files ({parts[0]}), and one file is sent",
            hint=f"edgecnn export {local} -o one.onnx   writes them into one",
        )


def _ignore(file: Path, sent: int, size: int) -> None:
    del file, sent, size
