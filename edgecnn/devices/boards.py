"""Boards by name, with what bounds a network on them; every figure with its source."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgecnn.errors import DeviceError

Precision = Literal["fp32", "fp16", "int8"]
# What multiplies: CUDA cores, tensor cores, an Arm core's float or integer pipes, an x86 core.
Unit = Literal["cuda", "tensor", "arm", "arm int8", "x86"]


@dataclass(frozen=True, slots=True)
class Board:
    """The limits of a board's fastest engine for convolutions.

    `macs_per_s` are multiply-accumulates a second at their peak, `bytes_per_s` what the memory
    gives, `launch_s` what starting one layer costs, `units` what multiplies in each precision;
    `sources` say where each figure is from.
    """

    name: str
    title: str
    macs_per_s: Mapping[Precision, float]
    bytes_per_s: float
    launch_s: float
    units: Mapping[Precision, Unit]
    sources: tuple[str, ...]


def find_board(name: str) -> Board:
    """The board of that name, `jetson` for the common one; DeviceError with the nearest known."""
    wanted = _wanted(name)
    for board in BOARDS:
        if board.name == wanted:
            return board
    near = nearest_board(name)
    advice = f"did you mean {near}? " if near else ""
    raise DeviceError(
        f"nothing is known about a device named {name!r}",
        hint=f"{advice}known are {', '.join(board.name for board in BOARDS)}",
    )


def nearest_board(name: str) -> str | None:
    """The name of the board that is meant, or None where it resembles none."""
    near = difflib.get_close_matches(_wanted(name), [board.name for board in BOARDS], n=1)
    return near[0] if near else None


def _wanted(name: str) -> str:
    plain = name.strip().casefold()
    return _ALIASES.get(plain, plain)


_ALIASES = {
    "jetson": "jetson-orin-nano", "jetson-thor": "jetson-agx-thor",
    "raspberry-pi": "raspberry-pi-5", "pi": "raspberry-pi-5",
}  # fmt: skip
_GIGA = 1e9
_CUDA: Mapping[Precision, Unit] = {"fp32": "cuda", "fp16": "cuda", "int8": "cuda"}
_TENSOR: Mapping[Precision, Unit] = {"fp32": "cuda", "fp16": "tensor", "int8": "tensor"}
_ARM: Mapping[Precision, Unit] = {"fp32": "arm", "int8": "arm int8"}
_VOLTA = (
    "64 FP16 products a cycle and tensor core, twice as many INT8: the 11 TFLOPS and 22 TOPS that"
    " NVIDIA states for the GPU of Jetson AGX Xavier"
)


def _raspberry_pi(
    name: str, title: str, macs: tuple[float, float], gigabytes_per_s: float, *sources: str
) -> Board:
    """A board whose Arm cores do `macs` giga products a second, of float32 and of int8."""
    fp32, int8 = (each * _GIGA for each in macs)
    return Board(
        name=name,
        title=title,
        macs_per_s={"fp32": fp32, "int8": int8},
        bytes_per_s=gigabytes_per_s * _GIGA,
        launch_s=1e-6,
        units=_ARM,
        sources=(*sources, "launch: assumed, five times that of x86-zen5-core"),
    )


def _jetson(
    name: str, title: str, macs: tuple[float, float, float], gigabytes_per_s: float, *sources: str
) -> Board:
    """A board whose GPU does `macs` giga products a second: float32, float16, int8."""
    fp32, fp16, int8 = (each * _GIGA for each in macs)
    return Board(
        name=name,
        title=title,
        macs_per_s={"fp32": fp32, "fp16": fp16, "int8": int8},
        bytes_per_s=gigabytes_per_s * _GIGA,
        launch_s=5e-6,
        units=_TENSOR if fp16 > 2 * fp32 else _CUDA,  # CUDA cores do two halves at a time at most
        sources=(
            *sources, "launch: assumed, the usual few microseconds of starting a CUDA kernel"
        ),
    )  # fmt: skip


BOARDS = (
    Board(
        name="x86-zen5-core",
        title="one core of an AMD EPYC (Zen 5) at 3.84 GHz, AVX512-VNNI",
        macs_per_s={"fp32": 121.6 * _GIGA, "int8": 500.6 * _GIGA},
        bytes_per_s=39 * _GIGA,
        launch_s=0.2e-6,
        units={"fp32": "x86", "int8": "x86"},
        sources=(
            "peaks: measured with loops over registers alone, FMA and VPDPBUSD on zmm registers",
            "memory: measured with streaming reads by one core",
            "launch: measured as ONNX Runtime 1.31's time for one more node, in a chain of 200",
        ),
    ),
    _raspberry_pi(
        "raspberry-pi-3",
        "Raspberry Pi 3 Model B+, four Cortex-A53 at 1.4 GHz",
        # One pipe of 64 bits: 2 float32 FMA a cycle, or about twice as many int8 products.
        (4 * 2 * 1.4, 4 * 4 * 1.4),
        3.6,
        "cores and clock: raspberrypi.com/products/raspberry-pi-3-model-b-plus",
        "pipe: half a 128-bit FMLA a cycle; no int8 dot product in Armv8.0",
        "memory: LPDDR2-900, 32 bits wide",
    ),
    _raspberry_pi(
        "raspberry-pi-4",
        "Raspberry Pi 4, four Cortex-A72 at 1.5 GHz",
        # 4 float32 FMA a cycle; int8 by widening products, about twice as many.
        (4 * 4 * 1.5, 4 * 8 * 1.5),
        4 * 3.2,
        "cores and clock: raspberrypi.com/products/raspberry-pi-4-model-b",
        "pipes: Arm Cortex-A72 Software Optimization Guide; no int8 dot product in Armv8.0",
        "memory: LPDDR4-3200, 32 bits wide, as raspberrypi.com states it",
    ),
    _raspberry_pi(
        "raspberry-pi-5",
        "Raspberry Pi 5, four Cortex-A76 at 2.4 GHz",
        # Four cores, two pipes of 128 bits each: 4 float32 FMA, or SDOT with 16 int8 products.
        (4 * 2 * 4 * 2.4, 4 * 2 * 16 * 2.4),
        4 * 4.267,
        "cores and clock: raspberrypi.com/products/raspberry-pi-5",
        "pipes: Arm Cortex-A76 Software Optimization Guide, FMLA and SDOT twice a cycle",
        "memory: LPDDR4X-4267, 32 bits wide, as raspberrypi.com states it",
    ),
    _jetson(
        "jetson-nano",
        "Jetson Nano, its GPU at 921.6 MHz",
        # 128 CUDA cores with one float32 FMA a cycle, or two of float16; INT8 is no faster there.
        (118, 236, 236),
        25.6,
        "cores, clock, 472 GFLOPS of FP16: NVIDIA Jetson Nano System-on-Module Data Sheet",
        "memory: LPDDR4, 64 bits wide, 25.6 GB/s, from the same data sheet",
    ),
    _jetson(
        "jetson-tx2",
        "Jetson TX2, its GPU at 1300 MHz",
        (333, 666, 666),
        59.7,
        "256 CUDA cores, clock, 1.33 TFLOPS of FP16: NVIDIA Jetson TX2 Series Data Sheet",
        "memory: LPDDR4, 128 bits wide, 59.7 GB/s, from the same data sheet",
    ),
    _jetson(
        "jetson-xavier-nx",
        "Jetson Xavier NX, its GPU at 1100 MHz, without its DLAs",
        (422, 3379, 6758),
        59.7,
        "384 CUDA cores, 48 tensor cores, clock: NVIDIA Jetson Xavier NX Series Data Sheet",
        _VOLTA,
        "memory: LPDDR4x, 128 bits wide, 59.7 GB/s, from the same data sheet",
    ),
    _jetson(
        "jetson-agx-xavier",
        "Jetson AGX Xavier, its GPU at 1377 MHz, without its DLAs",
        (705, 5640, 11280),
        136.5,
        "512 CUDA cores, 64 tensor cores, clock: NVIDIA Jetson AGX Xavier Series Data Sheet",
        _VOLTA,
        "memory: LPDDR4x, 256 bits wide, 136.5 GB/s, from the same data sheet",
    ),
    _jetson(
        "jetson-orin-nano",
        "Jetson Orin Nano 8GB, its GPU at 625 MHz",
        # 1024 CUDA cores with one float32 FMA a cycle; 20 dense INT8 TOPS, two operations a MAC.
        (1024 * 0.625, 10e3 / 2, 20e3 / 2),
        68,
        "cores, clock, TOPS (40 sparse, 20 dense): NVIDIA Jetson Orin Nano Series Data Sheet",
        "memory: LPDDR5, 128 bits wide, 68 GB/s, from the same data sheet",
    ),
    _jetson(
        "jetson-orin-nano-super",
        "Jetson Orin Nano 8GB in its Super mode, its GPU at 1020 MHz",
        (1024 * 1.02, 33e3 / 4, 33e3 / 2),
        102,
        "clock, TOPS (67 sparse, 33 dense), memory: NVIDIA's technical blog, December 2024:",
        "  'Jetson Orin Nano Developer Kit Gets a Super Boost'",
    ),
    _jetson(
        "jetson-agx-orin",
        "Jetson AGX Orin 64GB, its GPU at 1300 MHz, without its DLAs",
        # 170 sparse INT8 TOPS of the GPU are 85 dense ones; FP16 is half of that.
        (2048 * 1.3, 85e3 / 4, 85e3 / 2),
        204.8,
        "cores, clock, TOPS of the GPU: NVIDIA Jetson AGX Orin Series Technical Brief",
        "memory: LPDDR5, 256 bits wide, 204.8 GB/s, from the same brief",
    ),
    _jetson(
        "jetson-agx-thor",
        "Jetson AGX Thor (T5000), its GPU at 1570 MHz",
        # 517 dense INT8 TOPS (1035 sparse), 258 dense TFLOPS of FP16.
        (2560 * 1.57, 258e3 / 2, 517e3 / 2),
        273,
        "2560 CUDA cores, clock, dense TOPS: NVIDIA Jetson Thor Series Modules Technical Brief,",
        "  TB-12572-001, August 2025, tables 1 and 2",
        "20 SMs counted on a board: forums.developer.nvidia.com/t/356355",
        "memory: LPDDR5X, 256 bits wide, 273 GB/s, from the same brief",
    ),
)
