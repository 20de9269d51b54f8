"""The compiled helper: `resize.c`, built on the device that runs it and kept in the cache.

NumPy alone does everything; where the helper was built, `preprocess` goes through it, in the camera
as in calibration, evaluation and profiling. The two are equal bit by bit, since both add exactly.
"""

from __future__ import annotations

import ctypes
import os
import pkgutil
import platform
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.errors import EngineError
from edgecnn.files import sha256_of_key
from edgecnn.runtime import cache
from edgecnn.runtime.facts import cpu_flags
from edgecnn.runtime.resampling import WEIGHT_BITS, Axis, plan

OFF = "EDGECNN_NO_HELPER"

_SOURCE = "resize.c"
_LIBRARY = "resize.so"
_FLAGS = (
    "-O3", "-march=native", "-std=gnu11", "-ffp-contract=off", "-fPIC", "-shared",
    f"-DWEIGHT_BITS={WEIGHT_BITS}",
)  # fmt: skip
_LIMIT_S = 120
_REACH = 6  # pixels that loads reach behind the last tap, and some


def build_helper() -> bool:
    """Compile the helper for this processor, into the cache; False where it was there already.

    This process and all later ones use it from now on. Raises EngineError where there is no C
    compiler or it fails, FileError where the cache cannot be written.
    """
    folder, built = cache.engine_entry(_key(), _compile, about="preprocessing for this CPU")
    _loaded.cache_clear()
    if helper() is None and not os.environ.get(OFF):
        cache.discard(folder)
        raise EngineError(
            f"{folder}: the compiled helper cannot be loaded",
            hint="preprocessing goes on in NumPy; check the compiler",
        )
    return built


def helper() -> Helper | None:
    """The helper that was built for this processor, or None; looked for once in each cache."""
    if os.environ.get(OFF):
        return None
    return _loaded(os.environ.get("EDGECNN_CACHE"), os.environ.get("XDG_CACHE_HOME"))


@lru_cache(maxsize=4)
def _loaded(*_: str | None) -> Helper | None:
    folder = cache.existing_entry(_key())
    if folder is None:
        return None
    try:
        return Helper(ctypes.CDLL(str(folder / _LIBRARY)))
    except (OSError, AttributeError):
        return None


def in_use() -> str:
    """What preprocesses in this process, for the reader of a measurement."""
    return "NumPy" if helper() is None else "compiled helper"


class Helper:
    """`resize.c` as it was compiled."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._resize: Any = library.edgecnn_resize
        self._normalise: Any = library.edgecnn_normalise
        address, whole = ctypes.c_void_p, ctypes.c_int32
        self._resize.argtypes = [
            address, whole, whole, ctypes.c_ssize_t, address, address, address,
        ]  # fmt: skip
        self._normalise.argtypes = [
            address, ctypes.c_size_t, address, whole, whole, address,
        ]  # fmt: skip
        self._normalise.restype = None

    def resize(self, image: NDArray[np.uint8], spec: Preprocess) -> NDArray[np.uint8] | None:
        """As `resized` for a spec without padding, or None where it must be done in NumPy.

        That is where the image is hardly wider than the filter, its bytes lie apart, or its rows do
        not follow each other in memory.
        """
        resampling = plan(image.shape[0], image.shape[1], spec)
        down, along = resampling.vertical, resampling.horizontal
        horizontal, vertical = _axes(image.shape[0], image.shape[1], spec)
        in_order = image.strides[1:] == (3, 1) and image.strides[0] >= 3 * image.shape[1]
        if not in_order or horizontal.taps + _REACH > along.source:
            return None
        top, left = down.offset * image.strides[0], along.offset * 3
        out = np.empty((down.size, along.size, 3), dtype=np.uint8)
        failed = self._resize(
            _address(image) + top + left, down.source, along.source, image.strides[0],
            horizontal.address, vertical.address, _address(out),
        )  # fmt: skip
        if failed:
            raise MemoryError
        return out

    def normalise(
        self, pixels: NDArray[np.uint8], spec: Preprocess, backwards: bool, out: NDArray[np.float32]
    ) -> None:
        """As NumPy does, bit by bit, into `out`; `backwards` takes the last channel first."""
        self._normalise(
            _address(pixels), pixels.shape[0] * pixels.shape[1], _address(_factors(spec)),
            spec.layout == "NCHW", backwards, _address(out),
        )  # fmt: skip


@lru_cache(maxsize=16)
def _factors(spec: Preprocess) -> NDArray[np.float32]:
    """Scale and shift of the three channels, (2, 3), rounded as `preprocess` rounds them."""
    scales = [spec.scale / std for std in spec.std]
    shifts = [mean / std for mean, std in zip(spec.mean, spec.std, strict=True)]
    return np.array((scales, shifts), dtype=np.float32)


class _CAxis(ctypes.Structure):
    _fields_ = (
        ("outputs", ctypes.c_int32),
        ("taps", ctypes.c_int32),
        ("first", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Packed:
    """An axis as C wants it, with the arrays that it points to."""

    address: int
    taps: int
    keeps: tuple[object, ...]


@lru_cache(maxsize=256)
def _axes(height: int, width: int, spec: Preprocess) -> tuple[_Packed, _Packed]:
    resampling = plan(height, width, spec)
    return _packed(resampling.horizontal), _packed(resampling.vertical)


def _packed(axis: Axis) -> _Packed:
    """Every output with as many taps as the widest has, an even number."""
    rows = axis.rows or tuple((index, np.ones(1)) for index in range(axis.size))
    taps = max(len(values) for _, values in rows)
    taps += taps % 2
    first = np.array([begin for begin, _ in rows], dtype=np.int32)
    weights = np.zeros((len(rows), taps), dtype=np.int16)
    for index, (_, values) in enumerate(rows):
        weights[index, : len(values)] = values * 2**WEIGHT_BITS
    structure = _CAxis(len(rows), taps, _address(first), _address(weights))
    return _Packed(ctypes.addressof(structure), taps, (structure, first, weights))


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _key() -> dict[str, str]:
    return {
        "helper": sha256_of_key(_source()),
        "flags": " ".join(_FLAGS),
        "machine": platform.machine(),
        "cpu": " ".join(sorted(cpu_flags())),
    }


def _source() -> bytes:
    """Through the loader, since on a device seen from afar the package is a zip."""
    source = pkgutil.get_data("edgecnn.runtime", _SOURCE)
    if source is None:
        raise EngineError(f"{_SOURCE} is missing", hint="install edgecnn again")
    return source


def _compile(into: Path) -> None:
    import subprocess

    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    compiler = next((found for name in names if name and (found := shutil.which(name))), None)
    if compiler is None:
        raise EngineError(
            "no C compiler for the preprocessing helper",
            hint="apt install gcc; without it preprocessing goes on in NumPy",
        )
    command = [compiler, *_FLAGS, "-x", "c", "-", "-o", str(into / _LIBRARY)]
    source = _source().decode()
    try:
        subprocess.run(
            command, input=source, check=True, capture_output=True, text=True, timeout=_LIMIT_S
        )
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines() or ["no word"]
        raise EngineError(
            f"{compiler} cannot compile the preprocessing helper ({said[0][:160]})",
            hint="set CC to GCC 9 or later, or Clang; until then preprocessing goes on in NumPy",
        ) from error
