"""The soak: what it finds wrong, and a minute of it. `make soak` takes half an hour, and judges the
age of frames, too."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak import FLAT_BYTES, UNPLUGGED, Milliseconds, Plug, Soaked

GOOD = Soaked(
    unplugged=UNPLUGGED,
    reconnects=UNPLUGGED,
    ages=Milliseconds(),
    late=Milliseconds(),
    rss_bytes=(60_000_000,) * 100,
    left=(0, 0),
)


def test_nothing_is_wrong_with_what_stays_as_it_is() -> None:
    assert GOOD.problems == ()


def test_memory_is_judged_by_where_it_stays_not_by_a_moment() -> None:
    start, flat = [30_000_000] * 10, [60_000_000] * 90
    moment = [*start, *flat]
    moment[-3] += 50_000_000
    assert dataclasses.replace(GOOD, rss_bytes=tuple(moment)).problems == ()
    leak = [*start, *(size + FLAT_BYTES * place // 50 for place, size in enumerate(flat))]
    (problem,) = dataclasses.replace(GOOD, rss_bytes=tuple(leak)).problems
    assert "memory grew by 3." in problem


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"unplugged": UNPLUGGED - 1, "reconnects": UNPLUGGED - 1}, "unplugged 99 times of 100"),
        ({"unplugged": 130, "reconnects": 129}, "came back 129 times of 130"),
        ({"left": (1, 0)}, "1 threads and 0 files are left"),
        ({"left": (0, 2)}, "0 threads and 2 files are left"),
    ],
)
def test_what_is_lost_or_left_is_told(changed: dict[str, int], told: str) -> None:
    (problem,) = dataclasses.replace(GOOD, **changed).problems  # type: ignore[arg-type]
    assert told in problem


def test_times_are_told_to_a_tenth_of_a_millisecond() -> None:
    times = Milliseconds()
    for index in range(1000):
        times.add(index / 1e4)
    assert times.percentile(99) == pytest.approx(99.0)
    times.add(-1.0)
    times.add(1e6)
    assert (len(times), times.percentile(100)) == (1002, 2000.0)


def test_the_source_counts_what_really_happened_to_it() -> None:
    plug = Plug(life_s=0.05)
    for life in range(1, 3):
        with pytest.raises(OSError, match="No such device"):
            list(plug())
        assert plug.unplugged == life


@pytest.mark.slow
def test_a_minute_of_it() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "1", "--any-age"]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
