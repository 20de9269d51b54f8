"""Boards by name, with what bounds a network on them; every figure with its source."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import DeviceError

Precision = Literal["fp32", "int8"]


@dataclass(frozen=True, slots=True)
class Board:
    """The limits of a board's fastest engine for convolutions.

    `macs_per_s` are multiply-accumulates a second at their peak, `bytes_per_s` what the memory
    gives, `launch_s` what starting one layer costs; `sources` say where each figure is from.
    """

    name: str
    title: str
    macs_per_s: Mapping[Precision, float]
    bytes_per_s: float
    launch_s: float
    sources: tuple[str, ...]


def find_board(name: str) -> Board:
    """The board of that name; raises DeviceError with the nearest known one."""
    for board in BOARDS:
        if board.name == name.strip().casefold():
            return board
    known = [board.name for board in BOARDS]
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]}? " if near else ""
    raise DeviceError(
        f"nothing is known about a device named {name!r}",
        hint=f"{advice}known are {', '.join(known)}",
    )


_GIGA = 1e9

BOARDS = (
    Board(
        name="x86-zen5-core",
        title="one core of an AMD EPYC (Zen 5) at 3.84 GHz, AVX512-VNNI",
        macs_per_s={"fp32": 121.6 * _GIGA, "int8": 500.6 * _GIGA},
        bytes_per_s=39 * _GIGA,
        launch_s=0.2e-6,
        sources=(
            "peaks: measured with loops over registers alone, FMA and VPDPBUSD on zmm registers",
            "memory: measured with streaming reads by one core",
            "launch: measured as ONNX Runtime 1.31's time for one more node, in a chain of 200",
        ),
    ),
    Board(
        name="raspberry-pi-5",
        title="Raspberry Pi 5, four Cortex-A76 at 2.4 GHz",
        # Four cores, two pipes of 128 bits each: 4 float32 FMA, or SDOT with 16 int8 products.
        macs_per_s={"fp32": 4 * 2 * 4 * 2.4 * _GIGA, "int8": 4 * 2 * 16 * 2.4 * _GIGA},
        bytes_per_s=4 * 4.267 * _GIGA,
        launch_s=1e-6,
        sources=(
            "cores and clock: raspberrypi.com/products/raspberry-pi-5",
            "pipes: Arm Cortex-A76 Software Optimization Guide, FMLA and SDOT twice a cycle",
            "memory: LPDDR4X-4267, 32 bits wide, as raspberrypi.com states it",
            "launch: assumed, five times that of x86-zen5-core",
        ),
    ),
    Board(
        name="jetson-orin-nano",
        title="Jetson Orin Nano 8GB, its GPU at 625 MHz",
        # 1024 CUDA cores with one float32 FMA a cycle; 20 dense INT8 TOPS, two operations a MAC.
        macs_per_s={"fp32": 1024 * 0.625 * _GIGA, "int8": 20e12 / 2},
        bytes_per_s=68 * _GIGA,
        launch_s=5e-6,
        sources=(
            "cores, clock, TOPS (40 sparse, 20 dense): NVIDIA Jetson Orin Nano Series Data Sheet",
            "memory: LPDDR5, 128 bits wide, 68 GB/s, from the same data sheet",
            "launch: assumed, the usual few microseconds of starting a CUDA kernel",
        ),
    ),
    Board(
        name="jetson-orin-nano-super",
        title="Jetson Orin Nano 8GB in its Super mode, its GPU at 1020 MHz",
        macs_per_s={"fp32": 1024 * 1.02 * _GIGA, "int8": 33e12 / 2},
        bytes_per_s=102 * _GIGA,
        launch_s=5e-6,
        sources=(
            "clock, TOPS (67 sparse, 33 dense), memory: NVIDIA's technical blog, December 2024:",
            "  'Jetson Orin Nano Developer Kit Gets a Super Boost'",
            "launch: assumed, the usual few microseconds of starting a CUDA kernel",
        ),
    ),
)
