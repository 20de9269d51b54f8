"""A network camera that speaks RTSP (RFC 2326) over one TCP connection; MJPEG frames (RFC 2435)."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np

BRIGHTER = 2

_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:video\r\n"
)
_AS_RFC_2435_WANTS = {"huffman": "default", "force_duplicated_matrix": "1", "threads": "1"}


@contextmanager
def rtsp_camera(*, count: int) -> Iterator[str]:
    """The address of a camera of 64x48 that hangs up after `count` frames.

    Each is `BRIGHTER` than the one before. A player that looks for its format first takes a dozen.
    """

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                while request := self._request():
                    self._answer(request)
                    if request[0].startswith("PLAY"):
                        for packet in _packets(count):
                            self.wfile.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
                        return

        def _request(self) -> list[str]:
            lines = []
            while line := self.rfile.readline().decode().strip():
                lines.append(line)
            return lines

        def _answer(self, request: list[str]) -> None:
            (sequence,) = (line for line in request if line.lower().startswith("cseq"))
            body = _SDP if request[0].startswith("DESCRIBE") else ""
            head = [
                "RTSP/1.0 200 OK",
                sequence,
                "Session: 1",
                "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
                "Transport: RTP/AVP/TCP;unicast;interleaved=0-1",
                "Content-Type: application/sdp",
                f"Content-Length: {len(body)}",
            ]
            self.wfile.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/live"
        server.shutdown()


def _packets(count: int) -> Iterator[bytes]:
    """RTP as FFmpeg sends it."""
    with _udp() as rtp, _udp() as rtcp:
        ports = rtp.getsockname()[1], rtcp.getsockname()[1]
        address = "rtp://127.0.0.1:{}?rtcpport={}".format(*ports)
        with av.open(address, "w", format="rtp") as container:
            stream = container.add_stream("mjpeg", rate=25, options=_AS_RFC_2435_WANTS)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            for number in range(count):
                pixels = np.full((48, 64, 3), 20 + BRIGHTER * number, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
                with contextlib.suppress(BlockingIOError):
                    while True:
                        yield rtp.recv(65536)
                time.sleep(0.01)


def _udp() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    found.setblocking(False)
    return found
