"""OpenVINO on the CPU, in FP32 or in BF16 where that is asked for.

Left to itself, OpenVINO computes a float32 file in BF16 wherever the CPU can, which answers
otherwise than FP32. So the precision is always said, and BF16 is an engine of its own name.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Dimension, TensorSpec
from edgecnn.errors import EngineError, FileError, ModelError
from edgecnn.onnxfile import read_header
from edgecnn.runtime import cache
from edgecnn.runtime.engines.base import Feeds
from edgecnn.runtime.facts import core_count, cpu_flags

BLOB = "model.blob"
# Engine name -> what OpenVINO's INFERENCE_PRECISION_HINT must say.
PRECISIONS = {"openvino": "f32", "openvino-bf16": "bf16"}

_DEVICE = "CPU"
_OPTIONS = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    # It would bind the calling thread, which is the application's, to a core.
    "ENABLE_CPU_PINNING": "NO",
}


def compile_blob(path: Path, *, engine: str, sha256: str) -> tuple[Path, bool]:
    """The cache's folder that holds the compiled file, and whether this call had to build it.

    The key is content, OpenVINO's version, the CPU's features, precision and options. Raises
    FileError, ModelError, EngineError.
    """
    openvino = _library()
    read_header(path)  # of what is no ONNX file, OpenVINO's other readers would print errors
    key = {
        "sha256": sha256,
        "engine": f"openvino {openvino.__version__}",
        "cpu": " ".join(sorted(cpu_flags())),
        "options": f"{PRECISIONS[engine]} {sorted(_OPTIONS.items())}",
    }

    def build(folder: Path) -> None:
        compiled = _compile(openvino, path, engine=engine, threads=core_count())
        (folder / BLOB).write_bytes(compiled.export_model().getvalue())

    about = f"{path.name} for {engine} {_version(openvino)}"
    return cache.engine_entry(key, build, about=about)


def open_blob(
    path: Path, *, engine: str, sha256: str, threads: int | None = None
) -> OpenvinoEngine:
    """The engine of a file, ready to run.

    Where there is no room for a cache, or what it holds is damaged, the file itself is compiled.
    Raises ModelError where OpenVINO refuses the file, EngineError where it is not installed or
    cannot compute in this precision here.
    """
    openvino = _library()
    threads = threads or core_count()
    why = "damaged"
    for _ in range(2):
        try:
            folder, built = compile_blob(path, engine=engine, sha256=sha256)
        except FileError as error:
            why = str(error)
            break
        with contextlib.suppress(RuntimeError, OSError):
            compiled = import_blob(folder / BLOB, engine=engine, threads=threads)
            graph = "built" if built else "cached"
            return OpenvinoEngine(compiled, engine=engine, graph=graph, threads=threads)
        cache.discard(folder)
    compiled = _compile(openvino, path, engine=engine, threads=threads)
    return OpenvinoEngine(compiled, engine=engine, graph=f"not cached: {why}", threads=threads)


def import_blob(blob: Path, *, engine: str, threads: int, profiled: bool = False) -> Any:
    """What OpenVINO compiled, loaded again; `profiled` turns its counters on.

    Raises RuntimeError where it is damaged.
    """
    config = {**_config(engine, threads), "PERF_COUNT": "YES" if profiled else "NO"}
    return _library().Core().import_model(blob.read_bytes(), _DEVICE, config)


class OpenvinoEngine:
    """A model that OpenVINO has compiled, with one request that is used again and again.

    Raises EngineError where it would compute in another precision than the engine's name says.
    """

    def __init__(self, compiled: Any, *, engine: str, graph: str, threads: int) -> None:
        self._openvino = _library()
        _check_precision(compiled, engine)
        self._request: Any = compiled.create_infer_request()
        self.name = engine
        self.inputs = tuple(map(_spec, compiled.inputs))
        self.outputs = tuple(map(_spec, compiled.outputs))
        self.facts: Mapping[str, str] = {
            "engine": f"{engine} {_version(self._openvino)}",
            "provider": _DEVICE,
            "float": {"f32": "fp32"}.get(PRECISIONS[engine], PRECISIONS[engine]),
            "threads": str(threads),
            "graph": graph,
        }

    def run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        """Run once; raises EngineError with OpenVINO's reason."""
        # OpenVINO reads our memory itself: it must lie there until the run is over.
        held = [np.ascontiguousarray(feeds[spec.name]) for spec in self.inputs]
        try:
            for index, value in enumerate(held):
                tensor = self._openvino.Tensor(value, shared_memory=True)
                self._request.set_input_tensor(index, tensor)
            self._request.infer(share_outputs=True)  # else it copies all of them, for nobody
        except RuntimeError as error:
            raise EngineError(
                f"{self.name} failed: {_reason(error)}",
                hint="check the input's shape and type against: edgecnn inspect FILE",
            ) from error
        return {
            spec.name: self._request.get_output_tensor(index).data
            for index, spec in enumerate(self.outputs)
        }

    def counters(self) -> Sequence[Any]:
        """What each step of the last run took, of a model that was loaded with its counters on."""
        counted: Sequence[Any] = self._request.get_profiling_info()
        return counted

    def close(self) -> None:
        """Drop the request, and with it the compiled model."""
        self._request = None


def _library() -> Any:
    try:
        with _without_telemetry():
            return importlib.import_module("openvino")
    except (ImportError, OSError) as error:
        raise EngineError(
            "openvino is not installed", hint="pip install 'edgecnn[openvino]'"
        ) from error


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Importing OpenVINO would send its maker a message, unless the package for that is missing.

    So it is missing for the time of the import, and OpenVINO takes its own stub instead.
    """
    name = "openvino_telemetry"
    if name in sys.modules or "openvino" in sys.modules:  # the application has imported it itself
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # how Python says: not to be found
    try:
        yield
    finally:
        del sys.modules[name]


def _version(openvino: Any) -> str:
    """`2026.4.1` of `2026.4.1-22982-e213a147257-releases/2026/4`."""
    return str(openvino.__version__).partition("-")[0]


def _config(engine: str, threads: int) -> dict[str, str]:
    precision = {"INFERENCE_PRECISION_HINT": PRECISIONS[engine]}
    return {**_OPTIONS, **precision, "INFERENCE_NUM_THREADS": str(threads)}


def _compile(openvino: Any, path: Path, *, engine: str, threads: int) -> Any:
    core = openvino.Core()
    try:
        return core.compile_model(core.read_model(str(path)), _DEVICE, _config(engine, threads))
    except RuntimeError as error:
        raise ModelError(
            f"{path}: openvino {_version(openvino)} cannot load it ({_reason(error)})",
            hint="use --engine onnxruntime, or try a newer openvino",
        ) from error


def _check_precision(compiled: Any, engine: str) -> None:
    computes = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if computes != PRECISIONS[engine]:
        raise EngineError(
            f"{engine}: OpenVINO computes in {computes} on this CPU, not {PRECISIONS[engine]}",
            hint="use --engine openvino, which computes in FP32",
        )


def _spec(port: Any) -> TensorSpec:
    shape = tuple(_dimension(size, axis) for axis, size in enumerate(port.partial_shape))
    return TensorSpec(port.get_any_name(), np.dtype(port.element_type.to_dtype()).name, shape)


def _dimension(size: Any, axis: int) -> Dimension:
    if size.is_static:
        return int(size.get_length())
    return "?" if axis else "batch"


def _reason(error: RuntimeError) -> str:
    """The line that says it: above it stand the places in OpenVINO's own source."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
    return (told or lines or [type(error).__name__])[0][:160]
