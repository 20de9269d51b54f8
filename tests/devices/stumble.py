"""What a device's Python may do wrong: loaded there as `sitecustomize`, it spoils its words.

`STUMBLE` says how, `STUMBLE_AFTER` after how many answers or readings of the clock.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import Any

HOUR_NS = 3_600_000_000_000
BIG = 90_000_000

LINES = {
    "empty object": "{}",
    "half": '{"latencies_ns": [12',
    "deep": "[" * 100_000,
    "no number": '{"latencies_ns": [NaN], "wall_ns": 1e999}',
    "binary": "\x00\x01\udcff\x1b[2J",
    "another answer": '{"ready": 5}',
    "without end": "x" * BIG,
    "their error": '{"error": {"type": "os.system", "message": "\x1b[31mrm -rf", "hint": 7}}',
}
JUMPS = {"an hour on": HOUR_NS, "a minute on": HOUR_NS // 60}
YEARS = {"years on": 3e8, "years back": -3e8}  # what a board without a battery does to its date


def stumble(how: str, after: int) -> None:
    count = itertools.count()
    if how in LINES:
        dumps = json.dumps

        def spoiled(document: Any, **options: Any) -> str:
            return dumps(document, **options) if next(count) < after else LINES[how]

        json.dumps = spoiled  # type: ignore[assignment]
    elif how in JUMPS:
        clock = time.perf_counter_ns
        time.perf_counter_ns = lambda: clock() + (JUMPS[how] if next(count) >= after else 0)
    else:
        date = time.time
        time.time = lambda: date() + (YEARS[how] if next(count) >= after else 0)


if "STUMBLE" in os.environ and (os.environ["STUMBLE"] in YEARS or "worker" in sys.orig_argv):
    stumble(os.environ["STUMBLE"], int(os.environ["STUMBLE_AFTER"]))
