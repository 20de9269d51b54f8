"""A stream's statistics for Prometheus, on the loopback interface only.

https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgecnn.errors import DeviceError
from edgecnn.runtime.streamstats import StreamStats

_HOST = "127.0.0.1"
_CLOSING_S = 0.05  # close() waits so long at most
_COUNTERS = {
    "answered": "frames answered",
    "captured": "frames captured",
    "dropped": "frames captured and not answered",
    "late": "frames later than the camera announced",
    "missed": "answers after the deadline",
    "reconnects": "times the camera was lost and came back",
}
_SPREADS = {
    "latency_ms": "capture to answer, of the latest answers",
    "age_ms": "age of the frame when the engine began",
    "preprocess_ms": "preprocessing",
    "engine_ms": "engine and answer",
}


def prometheus(stats: StreamStats) -> str:
    """The statistics as Prometheus reads them."""
    lines: list[str] = []
    for name, meaning in _COUNTERS.items():
        lines += _metric(f"edgecnn_{name}_total", "counter", meaning)
        lines.append(f"edgecnn_{name}_total {getattr(stats, name)}")
    lines += _metric("edgecnn_fps", "gauge", "answers a second")
    lines.append(f"edgecnn_fps {stats.fps:.6g}")
    lines += _metric("edgecnn_drifts", "gauge", "ways in which frames differ from calibration")
    lines.append(f"edgecnn_drifts {len(stats.drift)}")
    for name, meaning in _SPREADS.items():
        spread = getattr(stats, name)
        if spread is not None:
            lines += _metric(f"edgecnn_{name}", "summary", f"{meaning}, milliseconds")
            for quantile, value in (("0.5", spread.p50), ("0.99", spread.p99), ("1", spread.most)):
                lines.append(f'edgecnn_{name}{{quantile="{quantile}"}} {value:.6g}')
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"


class MetricsServer:
    """Serves a text at `/metrics` on 127.0.0.1; port 0 takes a free one.

    Raises DeviceError where the port is taken.
    """

    def __init__(self, text: Callable[[], str], port: int) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/metrics"
                body = (text() if found else "see /metrics\n").encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """A camera app's terminal is not ours."""

        try:
            self._server = ThreadingHTTPServer((_HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise DeviceError(
                f"{_HOST}:{port}: {error}", hint="another port, or 0 for any that is free"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_CLOSING_S,),
            name="edgecnn metrics",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
