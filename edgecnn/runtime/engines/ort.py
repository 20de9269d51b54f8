"""ONNX Runtime: its sessions on the CPU, and what its other providers share with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from edgecnn.contract import Dimension, TensorSpec
from edgecnn.errors import EngineError, ModelError
from edgecnn.files import read_error
from edgecnn.onnxfile import read_header
from edgecnn.onnxheader import GRAPH_OUTPUT, MODEL_GRAPH, VALUE_NAME
from edgecnn.protobuf import encode_bytes
from edgecnn.runtime.engines.base import Feeds
from edgecnn.runtime.engines.providers import ONNXRUNTIME
from edgecnn.runtime.facts import core_count

NAME = ONNXRUNTIME
VERSION: str = onnxruntime.__version__
CPU = "CPUExecutionProvider"

_NONE: Mapping[str, str] = {}
_LEAST_MAPPED_BYTES = 16384  # to map many small ones would take longer than to read them
_FATAL_ONLY = 4  # errors come as exceptions, which we tell in our own words
_DTYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
    "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(int32)": "int32",
    "tensor(int64)": "int64", "tensor(bool)": "bool",
}  # fmt: skip


def available_providers() -> tuple[str, ...]:
    """What the installed ONNX Runtime was built with, in its own names."""
    return tuple(onnxruntime.get_available_providers())


def optimise(source: Path, target: Path) -> None:
    """Write the graph that ONNX Runtime makes of `source` on this CPU; raises ModelError.

    Loading it with optimisations off skips that work at every start; its large weights lie in a
    file beside it, which is mapped into memory instead of being read. It holds layouts of this CPU
    and version, so it is a cache and never travels.
    """
    options = session_options(threads=1, weights_only=read_header(source).weights_only)
    options.optimized_model_filepath = str(target)
    beside = "session.optimized_model_external_initializers"
    options.add_session_config_entry(f"{beside}_file_name", f"{target.stem}.weights")
    options.add_session_config_entry(f"{beside}_min_size_in_bytes", str(_LEAST_MAPPED_BYTES))
    open_session(source, options)


def open_graph(
    path: Path, *, graph: str, threads: int | None = None, optimised: bool = False
) -> OrtEngine:
    """A file on the CPU; `optimised` says that it is what `optimise` wrote and needs no more work.

    `graph` says where it came from, for the reader of a measurement. Raises ModelError where ONNX
    Runtime refuses the file.
    """
    threads = threads or core_count()
    weights_only = not optimised and read_header(path).weights_only
    options = session_options(threads=threads, optimised=optimised, weights_only=weights_only)
    return OrtEngine(open_session(path, options), graph=graph, threads=threads)


def open_tapped(path: Path, taps: Sequence[str]) -> OrtEngine:
    """A file on one thread of the CPU, with some of its inner tensors as further outputs.

    Where two protobuf messages stand behind each other they are one, whose repeated fields are
    those of both: a graph that has nothing but outputs adds these to the file's. Raises FileError,
    ModelError.
    """
    named = (encode_bytes(GRAPH_OUTPUT, encode_bytes(VALUE_NAME, tap.encode())) for tap in taps)
    try:
        model = path.read_bytes() + encode_bytes(MODEL_GRAPH, b"".join(named))
    except OSError as error:
        raise read_error(path, error) from error
    session = open_session(path, session_options(threads=1), model=model)
    return OrtEngine(session, graph="not cached", threads=1)


class OrtEngine:
    """A session of ONNX Runtime, by the name under which it was asked for (`onnxruntime:cuda`).

    `provider` says what runs its nodes, `graph` where they came from.
    """

    def __init__(
        self,
        session: Any,
        *,
        graph: str,
        threads: int,
        name: str = NAME,
        provider: str = CPU,
    ) -> None:
        self._session = session
        self.name = name
        self.facts: Mapping[str, str] = {
            "engine": f"{name} {VERSION}",
            "provider": provider,
            "threads": str(threads),
            "graph": graph,
        }
        self.inputs = tuple(_spec(item) for item in session.get_inputs())
        self.outputs = tuple(_spec(item) for item in session.get_outputs())
        self._output_names = [spec.name for spec in self.outputs]

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


def session_options(*, threads: int, optimised: bool = False, weights_only: bool = False) -> Any:
    """How a session is opened; `optimised` says that the file needs no further work.

    Weights that lie in a file as integers (`weights_only`) are made floats once, not in each run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_DISABLE_ALL if optimised else level.ORT_ENABLE_ALL
    if weights_only:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def open_session(
    path: Path,
    options: Any,
    *,
    provider: str = CPU,
    provider_options: Mapping[str, str] = _NONE,
    model: bytes | None = None,
) -> Any:
    """A session on a provider, and on the CPU for what it does not take; raises ModelError.

    `model` is what is loaded instead of the file's own bytes.
    """
    providers = {provider: dict(provider_options), CPU: {}}
    try:
        # Its fallback would print to stdout and try the CPU without a word.
        return onnxruntime.InferenceSession(
            model or str(path), options, providers=list(providers.items()), enable_fallback=0
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
