"""The other side of a window: a process that shows pictures until it is closed.

`python screen.py TITLE` reads pictures on stdin, each as height and width (uint32,
little-endian) and its BGR bytes; it writes a dot on stdout when it is ready for one. It ends with
stdin, when the window is closed, or with q or Esc.
"""

from __future__ import annotations

import select
import sys
from typing import BinaryIO

import cv2
import numpy as np

_KEYS = (27, ord("q"))
_WAIT_MS = 15
_LARGEST = (1280, 800)  # that a window is when it opens


def show(title: str, pictures: BinaryIO, ready: BinaryIO) -> None:
    """Open the window and show what comes.

    A picture comes only after a dot, so nothing of the next one can lie in a buffer unseen.
    """
    cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.waitKey(1)
    drawn = False
    _say(ready)
    while cv2.waitKey(_WAIT_MS) & 0xFF not in _KEYS and not (drawn and _is_closed(title)):
        if not select.select([pictures], [], [], 0)[0]:
            continue
        size = pictures.read(8)
        if len(size) < 8:
            return
        height, width = np.frombuffer(size, dtype="<u4")
        data = pictures.read(3 * int(height) * int(width))
        if not drawn:
            shrink = min(1.0, _LARGEST[0] / int(width), _LARGEST[1] / int(height))
            cv2.resizeWindow(title, round(width * shrink), round(height * shrink))
        cv2.imshow(title, np.frombuffer(data, np.uint8).reshape(height, width, 3))
        drawn = True
        _say(ready)


def _say(ready: BinaryIO) -> None:
    ready.write(b".")
    ready.flush()


def _is_closed(title: str) -> bool:
    try:
        return bool(cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1)
    except cv2.error:  # of a window that is gone
        return True


if __name__ == "__main__":
    show(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)
