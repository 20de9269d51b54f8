"""A real HTTP server on this machine that can be told to misbehave."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Serves `content` at every path, declaring `declared_bytes` where that is given.

    `cuts` are the bytes after which the next answers break off; `asked` collects Range headers.
    """

    content: bytes
    ranges: bool = True
    status: int = 200
    declared_bytes: int | None = None
    cuts: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.ranges else 0
        if self.status != 200:
            request.send_error(self.status)
        elif start and start >= len(self.content):
            request.send_error(416)
        else:
            self._send(request, start)

    def _send(self, request: BaseHTTPRequestHandler, start: int) -> None:
        size = len(self.content)
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(self.declared_bytes or len(body)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@contextlib.contextmanager
def serving(files: FileServer) -> Iterator[None]:
    """Answer on a port of 127.0.0.1 that `files.url` names, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        files.url = f"http://127.0.0.1:{listening.server_port}/net.pth"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            listening.shutdown()
            thread.join()
