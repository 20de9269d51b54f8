"""The engine of a file on this device: from the cache where it is valid, else built anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from edgecnn.errors import EdgecnnError, EngineError, ModelError, UsageError
from edgecnn.onnxfile import read_header
from edgecnn.runtime import cache
from edgecnn.runtime.engines.base import Engine
from edgecnn.runtime.engines.providers import ONNXRUNTIME, find_provider
from edgecnn.runtime.facts import cpu_flags

TENSORRT = ("tensorrt", "tensorrt-rtx")
OPENVINO = ("openvino", "openvino-bf16")
LITERT = "litert"
ENGINES = (ONNXRUNTIME, *OPENVINO, LITERT, *TENSORRT)

_GRAPH = "model.onnx"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A cached engine: its folder, and whether this call had to build it."""

    folder: Path
    built: bool
    name: str = _GRAPH

    @property
    def graph(self) -> Path:
        """The optimised graph, the blob, the TFLite model or the plan inside the folder."""
        return self.folder / self.name

    @property
    def size_bytes(self) -> int:
        """What all files of the engine take."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def compile_engine(
    path: Path,
    *,
    engine: str,
    sha256: str,
    compute_capabilities: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Compiled:
    """Build the engine of a file for this device, or find it in the cache.

    The key is content, engine version, the processor and options: when one of them changes, the
    old engine is never looked at again. `compute_capabilities` asks TensorRT-RTX to build ahead of
    time for these GPUs. Raises FileError, ModelError, EngineError, UsageError.
    """
    if engine in TENSORRT:
        from edgecnn.runtime.engines import trt_plans

        plan = trt_plans.compile_plan(
            path,
            engine=engine,
            sha256=sha256,
            compute_capabilities=compute_capabilities,
            progress=progress,
        )
        return Compiled(plan.folder, plan.built, trt_plans.PLAN)
    if compute_capabilities:
        raise UsageError(
            f"--compute-capability says nothing to {engine}",
            hint="it goes with --engine tensorrt-rtx",
        )
    if engine in OPENVINO:
        from edgecnn.runtime.engines import openvino

        return Compiled(*openvino.compile_blob(path, engine=engine, sha256=sha256), openvino.BLOB)
    if engine == LITERT:
        from edgecnn.runtime.engines import litert

        return Compiled(*litert.compile_model(path, sha256=sha256), litert.MODEL)
    ort = _onnxruntime(engine)
    if engine != ort.NAME:
        from edgecnn.runtime.engines import ort_providers

        _refuse_half_scales(path)
        provider = find_provider(engine)
        entry = ort_providers.compile_with(path, provider, sha256=sha256)
        return Compiled(*entry, ort_providers.PLACEMENT)
    return _optimised(ort, path, sha256=sha256)


def _optimised(ort: ModuleType, path: Path, *, sha256: str) -> Compiled:
    """The graph that ONNX Runtime makes of a file; one that is there was looked at when built."""
    key = {
        "sha256": sha256,
        "engine": f"onnxruntime {ort.VERSION}",
        "cpu": " ".join(sorted(cpu_flags())),
        "options": "all optimisations, large weights in a file of their own",
    }

    def build(folder: Path) -> None:
        _refuse_half_scales(path)
        ort.optimise(path, folder / _GRAPH)

    about = f"{path.name} for onnxruntime {ort.VERSION}"
    return Compiled(*cache.engine_entry(key, build, about=about))


def check_engine(engine: str) -> None:
    """Raise UsageError where `--engine` knows none of this name."""
    if engine.startswith(f"{ONNXRUNTIME}:"):
        find_provider(engine)
    elif engine not in ("auto", *ENGINES):
        known = ", ".join(("auto", *ENGINES, f"{ONNXRUNTIME}:PROVIDER"))
        raise UsageError(f"unknown engine {engine!r}", hint=f"one of: {known}")


def open_engine(path: Path, *, engine: str, sha256: str, threads: int | None = None) -> Engine:
    """The engine of a file, ready to run.

    Where there is no room for a cache, or what it holds is damaged, the file itself is loaded.
    Raises ModelError where the engine refuses the file, EngineError where it is not installed.
    """
    if engine in TENSORRT:
        from edgecnn.runtime.engines import tensorrt

        return tensorrt.open_plan(path, engine=engine, sha256=sha256)
    if engine in OPENVINO:
        from edgecnn.runtime.engines import openvino

        return openvino.open_blob(path, engine=engine, sha256=sha256, threads=threads)
    if engine == LITERT:
        from edgecnn.runtime.engines import litert

        return litert.open_model(path, sha256=sha256, threads=threads)
    ort = _onnxruntime(engine)
    if engine != ort.NAME:
        from edgecnn.runtime.engines import ort_providers

        _refuse_half_scales(path)
        provider = find_provider(engine)
        return ort_providers.open_with(path, provider, sha256=sha256, threads=threads)
    why = "damaged"
    for _ in range(2):
        try:
            compiled = _optimised(ort, path, sha256=sha256)
        except EdgecnnError as error:
            why = str(error)
            break
        with contextlib.suppress(EdgecnnError):
            graph = "built" if compiled.built else "cached"
            return _opened(ort, compiled.graph, graph=graph, threads=threads, optimised=True)
        cache.discard(compiled.folder)
    _refuse_half_scales(path)
    return _opened(ort, path, graph=f"not cached: {why}", threads=threads, optimised=False)


def better_engine() -> str | None:
    """The engine of TensorRT that this device can build for its GPU, or None."""
    from edgecnn.runtime.engines import trt_plans
    from edgecnn.runtime.engines.cuda import find_gpu

    for engine in TENSORRT:
        with contextlib.suppress(EngineError):
            find_gpu()  # first: some versions of TensorRT crash without a driver
            trt_plans.library(engine)
            return engine
    return None


def _refuse_half_scales(path: Path) -> None:
    """ONNX Runtime folds float16 scales into its INT8 layers and answers wrongly, without a word.

    Its optimizer WeightBiasQuantization multiplies two of them in float16, where the product is
    hardly above zero. Files of ours keep their scales in float32.
    """
    if read_header(path).half_scales:
        raise ModelError(
            f"{path}: INT8 with float16 scales, from which onnxruntime computes wrong answers",
            hint="keep the scales in float32: edgecnn half INT8_FILE, or --engine tensorrt",
        )


def _opened(
    ort: ModuleType, path: Path, *, graph: str, threads: int | None, optimised: bool
) -> Engine:
    engine: Engine = ort.open_graph(path, graph=graph, threads=threads, optimised=optimised)
    return engine


def _onnxruntime(engine: str) -> ModuleType:
    check_engine(engine)
    try:
        from edgecnn.runtime.engines import ort
    except ImportError as error:
        raise EngineError(
            "onnxruntime is not installed", hint="pip install 'edgecnn[ort]'"
        ) from error
    return ort
