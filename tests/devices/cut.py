"""What stands between ssh and its server, and does not always stand: `cut.py HOST PORT HOW BYTES`.

It passes bytes on until so many have gone to the device (`up`) or come from it (`down`), then
closes both ends. With `FILE` as a fifth word it does so only once: the file says that it has. With
`stall` there it closes nothing, and passes nothing on any more. `cut.py HOST PORT pulled FILE` is a
cable that is pulled as soon as the file is there: the device hears nothing, not even that ssh has
gone.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from pathlib import Path

CHUNK_BYTES = 4096
PULLED_S = 60


def main(host: str, port: str, how: str, count: str, once: str = "") -> None:
    left = {"up": sys.maxsize, "down": sys.maxsize}
    pulled = Path(count) if how == "pulled" else None
    if pulled is None and not Path(once or "no such file").exists():
        left[how] = int(count)
    with socket.create_connection((host, int(port))) as server:
        while True:
            ready, _, _ = select.select([0, server.fileno()], [], [], 0.05 if pulled else None)
            if pulled and pulled.exists():
                time.sleep(PULLED_S)
                return
            for source in ready:
                way = "up" if source == 0 else "down"
                chunk = os.read(source, min(CHUNK_BYTES, left[way]))
                if not chunk:
                    return
                left[way] -= len(chunk)
                _pass_on(way, chunk, server)
                if not left[way]:
                    _stop(once)
                    return


def _stop(once: str) -> None:
    if once == "stall":
        while os.getppid() != 1:
            time.sleep(1)
    elif once:
        Path(once).touch()


def _pass_on(way: str, chunk: bytes, server: socket.socket) -> None:
    if way == "up":
        server.sendall(chunk)
        return
    while chunk:
        chunk = chunk[os.write(1, chunk) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
