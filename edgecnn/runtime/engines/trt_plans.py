"""Plans of TensorRT 8.6 to 11 and TensorRT-RTX: found in the cache, or built into it.

The GPU's driver is asked before TensorRT is: some versions crash where there is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.errors import EngineError, UsageError
from edgecnn.runtime import cache
from edgecnn.runtime.engines.cuda import Cuda, Gpu, find_gpu
from edgecnn.runtime.engines.plan_file import read_plan_header
from edgecnn.runtime.engines.trt_build import MAX_BATCH, BuildOptions, build_plan
from edgecnn.runtime.engines.trt_log import Progress

PLAN = "model.plan"

# By engine name: the modules that may hold it, and how to get them.
_MODULES = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_AHEAD_OF_TIME = "tensorrt-rtx"
_INSTALL = {
    "tensorrt": "on a Jetson: sudo apt install python3-libnvinfer; elsewhere: pip install tensorrt",
    "tensorrt-rtx": "pip install 'edgecnn[tensorrt-rtx]'",
}
_VERSION_PARTS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan in the cache, whether this call had to build it, and by what."""

    folder: Path
    built: bool
    engine: str
    version: tuple[int, ...]

    @property
    def path(self) -> Path:
        """The plan's file."""
        return self.folder / PLAN


def compile_plan(
    path: Path,
    *,
    engine: str,
    sha256: str,
    compute_capabilities: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Plan:
    """Build the plan of a file, or find it in the cache.

    The key is content, version (four parts), compute capability, device name and options.
    `compute_capabilities` (86 is 8.6) asks TensorRT-RTX to build ahead of time for other GPUs,
    without one here. Raises UsageError, FileError, ModelError, EngineError.
    """
    _check_engine(engine, compute_capabilities)
    gpu = None if compute_capabilities else find_gpu()
    trt = library(engine)
    _check_capabilities(trt, engine, compute_capabilities)
    version = library_version(trt)
    options = _options(engine, version, gpu, compute_capabilities)
    key = {
        "sha256": sha256,
        "engine": f"{engine} {dotted(version)}",
        "compute_capability": _capabilities(gpu, compute_capabilities),
        "device": gpu.name if gpu else "none: built ahead of time",
        "options": f"typed by the graph, no TF32, open batches up to {MAX_BATCH}",
    }
    about = f"{path.name} for {key['engine']}, compute capability {key['compute_capability']}"

    def build(folder: Path) -> None:
        plan = build_plan(trt, path, options=options, progress=progress)
        (folder / PLAN).write_bytes(plan)

    for _ in range(2):
        folder, built = cache.engine_entry(key, build, about=about)
        plan = Plan(folder, built, engine, version)
        header = read_plan_header(plan.path)
        if header is not None and header.is_from(engine, version):
            return plan
        cache.discard(folder)
    raise EngineError(
        f"{plan.path}: {engine} {dotted(version)} wrote a plan that names another version",
        hint="its Python bindings and its libraries do not belong together: install it again",
    )


def library_version(trt: Any) -> tuple[int, ...]:
    """The version in four parts; three where the library cannot be asked for its build.

    The bindings of 8.6 to 10.7 name three parts, but plans hold four.
    """
    parts = tuple(int(part) for part in str(trt.__version__).split(".") if part.isdecimal())
    if len(parts) >= _VERSION_PARTS:
        return parts[:_VERSION_PARTS]
    for soname in (f"libnvinfer.so.{parts[0]}", "libnvinfer.so"):
        with contextlib.suppress(OSError, AttributeError):
            return (*parts, int(ctypes.CDLL(soname).getInferLibBuildVersion()))
    return parts


def library(engine: str) -> Any:
    """The module of an engine; raises EngineError where it is not installed."""
    for module in _MODULES[engine]:
        with contextlib.suppress(ImportError, OSError):
            return importlib.import_module(module)
    raise EngineError(f"{engine} is not installed", hint=_INSTALL[engine])


def _check_engine(engine: str, wanted: tuple[int, ...]) -> None:
    if wanted and engine != _AHEAD_OF_TIME:
        raise UsageError(
            f"{engine} builds for the GPU that is here, not for compute capability {wanted[0]}",
            hint=f"build it on the device itself, or take --engine {_AHEAD_OF_TIME}",
        )


def _check_capabilities(trt: Any, engine: str, wanted: tuple[int, ...]) -> None:
    names = trt.ComputeCapability.__members__ if hasattr(trt, "ComputeCapability") else ()
    for capability in wanted:
        if f"SM{capability}" not in names:
            known = ", ".join(name.removeprefix("SM") for name in names if name.startswith("SM"))
            raise UsageError(
                f"{engine} does not build for compute capability {capability}",
                hint=f"one of: {known}",
            )


def _options(
    engine: str, version: tuple[int, ...], gpu: Gpu | None, capabilities: tuple[int, ...]
) -> BuildOptions:
    if gpu is None:
        return BuildOptions(compute_capabilities=capabilities)
    cuda = Cuda()
    try:
        free_bytes = cuda.free_bytes()
    finally:
        cuda.close()
    timing = cache.timing_file(f"{engine}-{dotted(version)}-{gpu.compute_capability}-{gpu.name}")
    return BuildOptions(free_bytes=free_bytes, timing=timing)


def _capabilities(gpu: Gpu | None, wanted: tuple[int, ...]) -> str:
    numbers = wanted if gpu is None else (gpu.compute_capability,)
    return ", ".join(str(number) for number in numbers)


def dotted(version: tuple[int, ...]) -> str:
    """A version as people write it."""
    return ".".join(str(part) for part in version)
