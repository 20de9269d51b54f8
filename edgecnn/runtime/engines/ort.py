"""ONNX Runtime on the CPU: the only file of the runtime that imports it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from edgecnn.contract import Dimension, TensorSpec
from edgecnn.errors import EngineError, ModelError
from edgecnn.runtime.engines.base import Feeds

NAME = "onnxruntime"
VERSION: str = onnxruntime.__version__

_PROVIDER = "CPUExecutionProvider"
_FATAL_ONLY = 4  # errors come as exceptions, which we tell in our own words
_DTYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
    "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(int32)": "int32",
    "tensor(int64)": "int64", "tensor(bool)": "bool",
}  # fmt: skip


def default_threads() -> int:
    """As many threads as this process may use cores."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def optimise(source: Path, target: Path) -> None:
    """Write the graph that ONNX Runtime makes of `source` on this CPU; raises ModelError.

    Loading it with optimisations off skips that work at every start. It holds layouts of this
    CPU and version, so it is a cache and never travels.
    """
    options = _options(threads=1)
    options.optimized_model_filepath = str(target)
    _session(source, options)


class OrtEngine:
    """A session of ONNX Runtime on the CPU.

    `optimised` says that the file is what `optimise` wrote and needs no further work; `graph`
    says where it came from, for the reader of a measurement. Raises ModelError where ONNX Runtime
    refuses the file.
    """

    def __init__(
        self, path: Path, *, graph: str, threads: int | None = None, optimised: bool = False
    ) -> None:
        self._graph = graph
        self._threads = threads or default_threads()
        options = _options(threads=self._threads)
        if optimised:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session: Any = _session(path, options)
        self._inputs = tuple(_spec(item) for item in self._session.get_inputs())
        self._outputs = tuple(_spec(item) for item in self._session.get_outputs())
        self._output_names = [spec.name for spec in self._outputs]

    @property
    def name(self) -> str:
        """`onnxruntime`."""
        return NAME

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The graph's inputs."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The graph's outputs."""
        return self._outputs

    @property
    def facts(self) -> Mapping[str, str]:
        """Version, provider and threads."""
        return {
            "engine": f"{NAME} {VERSION}",
            "provider": _PROVIDER,
            "threads": str(self._threads),
            "graph": self._graph,
        }

    def run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        """Run once; raises EngineError with ONNX Runtime's first line."""
        try:
            values = self._session.run(self._output_names, feeds)
        except Exception as error:
            raise EngineError(
                f"onnxruntime failed: {_first_line(error)}",
                hint="check the input's shape and type against: edgecnn inspect FILE",
            ) from error
        return dict(zip(self._output_names, values, strict=True))

    def close(self) -> None:
        """Drop the session."""
        self._session = None


def _options(*, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return options


def _session(path: Path, options: Any) -> Any:
    try:
        # Its fallback would print to stdout and try the same provider again.
        return onnxruntime.InferenceSession(
            str(path), options, providers=[_PROVIDER], enable_fallback=0
        )
    except Exception as error:
        raise ModelError(
            f"{path}: onnxruntime {VERSION} cannot load it ({_first_line(error)})",
            hint="export it again, or try a newer onnxruntime",
        ) from error


def _spec(item: Any) -> TensorSpec:
    return TensorSpec(
        name=item.name,
        dtype=_DTYPES.get(item.type, item.type),
        shape=tuple(_dimension(size) for size in item.shape),
    )


def _dimension(size: object) -> Dimension:
    return size if isinstance(size, int) else str(size or "?")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
