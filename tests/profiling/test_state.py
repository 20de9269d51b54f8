"""Marks: what is wrong with a run, and why."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.profiling.records import Around, Measurement
from edgecnn.profiling.state import Mark, mark_of, taken_share
from tests.profiling.made_up import made_up_profile

STEADY = made_up_profile("net", "fp32", p50_ms=4).measurement


def at_levels(levels: NDArray[np.float64]) -> Measurement:
    blocks = [level * block for level, block in zip(levels, STEADY.blocks, strict=True)]
    return dataclasses.replace(
        STEADY, latencies_ns=tuple(int(value) for value in np.concatenate(blocks))
    )


def fared(*states: dict[str, Any], waited_ns: int | None = None) -> Measurement:
    """The steady run, with what a device said of itself after each of its blocks."""
    plain: dict[str, Any] = {"throttle_counts": {}, "held_back": []}
    around = tuple(
        Around(started_s=float(i), wall_ns=1_000_000, waited_ns=waited_ns, state=plain | state)
        for i, state in enumerate(states or [{}] * 12)
    )
    return dataclasses.replace(STEADY, around=around)


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        (np.ones(12), "stable"),
        (np.linspace(1, 1.2, 12), "drifting"),
        (np.linspace(1.2, 1, 12), "drifting"),
        (np.linspace(1, 1.02, 12), "stable"),
        (np.repeat([1.0, 1.5], 6), "drifting"),
    ],
)
def test_a_run_that_changes_speed_is_marked(levels: NDArray[np.float64], state: str) -> None:
    assert mark_of(at_levels(levels), emulated=None).state == state


def test_it_says_by_how_much() -> None:
    mark = mark_of(at_levels(np.repeat([1.0, 1.5], 6)), emulated=None)
    assert mark.why == "the second half was 50 % slower than the first"


def test_an_emulated_run_is_marked_whatever_it_looks_like() -> None:
    assert mark_of(STEADY, emulated="qemu-aarch64") == Mark("emulated", "qemu-aarch64")


def test_a_counter_that_grows_means_throttled_and_one_that_stands_does_not() -> None:
    counts = [{"throttle_counts": {"CPU heat": 7 + max(0, i - 9)}} for i in range(12)]
    before = {"CPU heat": 7}
    held = dataclasses.replace(fared(*counts), throttle_before=before)
    assert mark_of(held, emulated=None) == Mark("throttled", "CPU heat: 2 times")
    calm = dataclasses.replace(fared(*counts[:9]), throttle_before=before)
    assert mark_of(calm, emulated=None).state == "stable"


def test_what_happened_in_the_first_block_counts_too() -> None:
    held = fared(*[{"throttle_counts": {"under-voltage": 1}}] * 12)
    mark = mark_of(dataclasses.replace(held, throttle_before={"under-voltage": 0}), emulated=None)
    assert mark.state == "throttled"


def test_blocks_from_before_an_interruption_were_throttled_all_the_same() -> None:
    # Counted from 7 to 9, stopped, went on at 9; then the board was started anew and counted to 1.
    counts = [{"throttle_counts": {"CPU heat": count}} for count in (7, 8, 9, 9, 0, 1)]
    resumed = dataclasses.replace(fared(*counts), throttle_before={"CPU heat": 9})
    assert mark_of(resumed, emulated=None) == Mark("throttled", "CPU heat: 3 times")


def test_a_cooling_device_that_acts_means_throttled() -> None:
    mark = mark_of(fared(*[{}] * 11, {"held_back": ["cpufreq-cpu0"]}), emulated=None)
    assert mark == Mark("throttled", "slowed down by cpufreq-cpu0")


def test_a_clock_that_falls_means_throttled() -> None:
    clocks = [{"clock_mhz": 2400.0 if i < 6 else 1800.0} for i in range(12)]
    mark = mark_of(fared(*clocks), emulated=None)
    assert mark == Mark("throttled", "the clock fell from 2400 to 1800 MHz")
    assert mark_of(fared(*reversed(clocks)), emulated=None).state == "stable"
    unknown = [{"clock_mhz": "unavailable: virtual machine"}] * 12
    assert mark_of(fared(*unknown), emulated=None).state == "stable"


def test_waiting_for_a_cpu_that_others_have_means_throttled() -> None:
    assert mark_of(fared(waited_ns=40_000), emulated=None).state == "stable"
    mark = mark_of(fared(waited_ns=300_000), emulated=None)
    assert mark == Mark("throttled", "others took 30 % of the CPU time that it asked for")


def test_a_process_that_is_stopped_shows_in_its_cpu_time() -> None:
    stopped = dataclasses.replace(STEADY, cpu_share=0.5)
    assert taken_share(stopped) == 0.5
    assert mark_of(stopped, emulated=None).state == "throttled"
    on_gpu = dataclasses.replace(stopped, engine="tensorrt")
    assert mark_of(on_gpu, emulated=None).state == "stable", "it waits for the GPU"
    many = dataclasses.replace(stopped, threads=4)
    assert mark_of(many, emulated=None).state == "stable", "threads idle for other reasons"
