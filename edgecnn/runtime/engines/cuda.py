"""The NVIDIA driver by ctypes: which GPU is there, its memory, copies to and from it.

Only libcuda.so.1 is used, which comes with the driver itself: the runtime library (libcudart) has
another name in every CUDA release and is not on every device. Function names and constants:
https://docs.nvidia.com/cuda/cuda-driver-api.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import EngineError

_LIBRARY = "libcuda.so.1"
_OUT_OF_MEMORY, _NO_DEVICE = 2, 100
_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18  # CUdevice_attribute
_HOST_MAPPED = 2  # CU_MEMHOSTALLOC_DEVICEMAP
_NAME_BYTES = 128

_ELSEWHERE = (
    "run it on the device that has the GPU; or build ahead of time: "
    "--engine tensorrt-rtx --compute-capability 86"
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU that this process may use; `compute_capability` is 87 for 8.7.

    `integrated` says that it shares the memory of the CPU, as on a Jetson.
    """

    name: str
    compute_capability: int
    integrated: bool
    driver: str


def find_gpu() -> Gpu:
    """Ask the driver, before TensorRT is asked anything: some of its versions crash without one.

    Raises EngineError where there is no driver or no GPU.
    """
    driver = _Driver()
    device = driver.device()
    return Gpu(
        name=driver.name(device),
        compute_capability=10 * driver.attribute(_MAJOR, device) + driver.attribute(_MINOR, device),
        integrated=bool(driver.attribute(_INTEGRATED, device)),
        driver=driver.version(),
    )


class Cuda:
    """The GPU's primary context, which TensorRT uses as well, and one stream of work in it.

    Raises EngineError where there is no driver or no GPU.
    """

    def __init__(self) -> None:
        self._driver = _Driver()
        self._device = self._driver.device()
        context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), ctypes.c_int(self._device))
        self._context = context
        self.enter()
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(0))
        self._stream = stream
        self._is_integrated = bool(self._driver.attribute(_INTEGRATED, self._device))

    @property
    def stream(self) -> int:
        """The stream's handle, as TensorRT takes it."""
        return self._stream.value or 0

    def enter(self) -> None:
        """Make the context that of the calling thread, which CUDA asks of every thread."""
        self._call("cuCtxSetCurrent", self._context)

    def free_bytes(self) -> int:
        """The memory that is free on the GPU now."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def buffer(self, shape: tuple[int, ...], dtype: str) -> Buffer:
        """Memory for an array, on both sides; raises EngineError where there is too little."""
        return Buffer(self._call, shape=shape, dtype=dtype, is_shared=self._is_integrated)

    def wait(self) -> None:
        """Return when everything in the stream is done; raises EngineError where it failed."""
        self._call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """Give the stream and the context back."""
        self._call("cuStreamDestroy_v2", self._stream)
        self._call("cuDevicePrimaryCtxRelease_v2", ctypes.c_int(self._device))

    def _call(self, function: str, *arguments: Any) -> None:
        self._driver.call(function, *arguments)


class Buffer:
    """An array in page-locked host memory and its place on the GPU.

    Where CPU and GPU share one memory both are the same, and nothing is ever copied.
    """

    def __init__(
        self, call: Callable[..., None], *, shape: tuple[int, ...], dtype: str, is_shared: bool
    ) -> None:
        self._call = call
        self._is_shared = is_shared
        kind = np.dtype(dtype)
        self._size_bytes = max(1, int(np.prod(shape))) * kind.itemsize
        self._host, self._device = ctypes.c_void_p(), ctypes.c_uint64()
        size = ctypes.c_size_t(self._size_bytes)
        flags = ctypes.c_uint(_HOST_MAPPED if is_shared else 0)
        call("cuMemHostAlloc", ctypes.byref(self._host), size, flags)
        try:
            if is_shared:
                place = ctypes.byref(self._device)
                call("cuMemHostGetDevicePointer_v2", place, self._host, ctypes.c_uint(0))
            else:
                call("cuMemAlloc_v2", ctypes.byref(self._device), size)
        except EngineError:
            call("cuMemFreeHost", self._host)
            raise
        raw = (ctypes.c_uint8 * self._size_bytes).from_address(self._host.value or 0)
        self._array: NDArray[Any] = np.frombuffer(memoryview(raw).cast("B"), dtype=kind)

    @property
    def address(self) -> int:
        """Where the GPU finds it."""
        return self._device.value

    def host(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """The first values of the host's side, as an array of this shape."""
        return self._array[: int(np.prod(shape))].reshape(shape)

    def to_device(self, stream: int, size_bytes: int) -> None:
        """Put the copy of so many bytes into a stream."""
        if not self._is_shared:
            amount, queue = ctypes.c_size_t(size_bytes), ctypes.c_void_p(stream)
            self._call("cuMemcpyHtoDAsync_v2", self._device, self._host, amount, queue)

    def to_host(self, stream: int, size_bytes: int) -> None:
        """Put the copy back into a stream."""
        if not self._is_shared:
            amount, queue = ctypes.c_size_t(size_bytes), ctypes.c_void_p(stream)
            self._call("cuMemcpyDtoHAsync_v2", self._host, self._device, amount, queue)

    def free(self) -> None:
        """Give both sides back; arrays that `host` gave must not be used afterwards."""
        if not self._is_shared:
            self._call("cuMemFree_v2", self._device)
        self._call("cuMemFreeHost", self._host)


class _Driver:
    """libcuda, initialised; every call's status becomes an EngineError."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise EngineError(
                f"there is no NVIDIA driver here ({_LIBRARY} not found)", hint=_ELSEWHERE
            ) from error
        self.call("cuInit", ctypes.c_uint(0))

    def device(self) -> int:
        device = ctypes.c_int()
        self.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        return device.value

    def attribute(self, which: int, device: int) -> int:
        value = ctypes.c_int()
        arguments = ctypes.byref(value), ctypes.c_int(which), ctypes.c_int(device)
        self.call("cuDeviceGetAttribute", *arguments)
        return value.value

    def name(self, device: int) -> str:
        text = ctypes.create_string_buffer(_NAME_BYTES)
        self.call("cuDeviceGetName", text, ctypes.c_int(_NAME_BYTES), ctypes.c_int(device))
        return text.value.decode("utf-8", errors="replace")

    def version(self) -> str:
        number = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(number))
        return f"CUDA {number.value // 1000}.{number.value % 1000 // 10}"

    def call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status == 0:
            return
        if status == _NO_DEVICE:
            raise EngineError("the NVIDIA driver finds no GPU", hint=_ELSEWHERE)
        if status == _OUT_OF_MEMORY:
            raise EngineError(
                f"the GPU is out of memory ({function})",
                hint="close what else uses it, or take a smaller batch or input",
            )
        raise EngineError(
            f"the NVIDIA driver failed: {function}: {self._said(status)}",
            hint="look at nvidia-smi and dmesg; restart what holds the GPU",
        )

    def _said(self, status: int) -> str:
        text = ctypes.c_char_p()
        if self._library.cuGetErrorString(ctypes.c_int(status), ctypes.byref(text)) or not text:
            return f"error {status}"
        return (text.value or b"").decode("utf-8", errors="replace")
