"""LiteRT on the CPU, with its XNNPACK kernels.

The ONNX file is rewritten as a TFLite model, which lies in the cache like every engine and never
travels. Activations in uint8 become int8 by 128 less, which is exact.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import TensorSpec
from edgecnn.errors import EngineError, FileError
from edgecnn.runtime import cache
from edgecnn.runtime.engines.base import Feeds, Layer
from edgecnn.runtime.engines.tflite.convert import convert
from edgecnn.runtime.facts import core_count

NAME = "litert"
MODEL = "model.tflite"

_PACKAGE = "ai-edge-litert"
_FORMAT = "TFLite as written in format 1"  # counted up when `convert` writes anything else
_DELEGATE = "DELEGATE"  # what LiteRT calls a part of the graph that XNNPACK has taken
_STDERR = 2


def compile_model(path: Path, *, sha256: str) -> tuple[Path, bool]:
    """The cache's folder that holds the TFLite model, and whether this call had to write it.

    Raises FileError, ModelError, and EngineError where LiteRT is not installed or the file holds
    what is not written as TFLite.
    """
    _interpreters()
    key = {"sha256": sha256, "engine": f"{NAME} {_version()}", "options": _FORMAT}

    def build(folder: Path) -> None:
        content = convert(path)
        with _refusals(path):
            _allocated(model_content=content, threads=1)
        (folder / MODEL).write_bytes(content)

    return cache.engine_entry(key, build, about=f"{path.name} for {NAME} {_version()}")


def open_model(path: Path, *, sha256: str, threads: int | None = None) -> LitertEngine:
    """The engine of a file, ready to run.

    Where there is no room for a cache, or what it holds is damaged, it is written again. Raises as
    `compile_model`.
    """
    _interpreters()
    threads = threads or core_count()
    why = "damaged"
    for _ in range(2):
        try:
            folder, built = compile_model(path, sha256=sha256)
        except FileError as error:
            why = str(error)
            break
        with contextlib.suppress(ValueError, RuntimeError):
            graph = "built" if built else "cached"
            interpreter = _allocated(model_path=str(folder / MODEL), threads=threads)
            return LitertEngine(interpreter, graph=graph, threads=threads)
        cache.discard(folder)
    with _refusals(path):
        interpreter = _allocated(model_content=convert(path), threads=threads)
    return LitertEngine(interpreter, graph=f"not cached: {why}", threads=threads)


class LitertEngine:
    """A model that LiteRT has loaded, its tensors allocated, open sizes as 1.

    `provider` says what XNNPACK runs and what it does not, `graph` where the model came from.
    """

    def __init__(self, interpreter: Any, *, graph: str, threads: int) -> None:
        self._interpreter = interpreter
        self._inputs, self._outputs = (
            tuple((_spec(item), int(item["index"])) for item in details)
            for details in (interpreter.get_input_details(), interpreter.get_output_details())
        )
        self.name = NAME
        self.inputs = tuple(spec for spec, _ in self._inputs)
        self.outputs = tuple(spec for spec, _ in self._outputs)
        self.facts: Mapping[str, str] = {
            "engine": f"{NAME} {_version()}",
            "provider": _placement(interpreter),
            "threads": str(threads),
            "graph": graph,
        }

    def run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        """Run once; raises EngineError with LiteRT's reason."""
        try:
            for spec, index in self._inputs:
                self._interpreter.set_tensor(index, feeds[spec.name])
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise EngineError(
                f"{NAME} failed: {_reason(error)}",
                hint="check the input's shape and type against: edgecnn inspect FILE",
            ) from error
        return {spec.name: self._interpreter.get_tensor(index) for spec, index in self._outputs}

    def close(self) -> None:
        """Drop the interpreter."""
        self._interpreter = None


def layers_of(model: Path) -> tuple[Layer, ...]:
    """The layers of a TFLite model in the order in which they run.

    LiteRT's names of its operators; `origins` are tensors of the ONNX file. Raises EngineError.
    """
    with _refusals(model):
        interpreter = _allocated(model_path=str(model), threads=1)
    tensors = {item["index"]: item for item in interpreter.get_tensor_details()}
    found = []
    for operator in interpreter._get_ops_details():
        if operator["op_name"] != _DELEGATE:
            made = tensors[operator["outputs"][0]]
            precision = "int8" if made["dtype"] == np.int8 else "fp32"
            kind = _KINDS.get(operator["op_name"], operator["op_name"])
            found.append(Layer(made["name"], kind, precision, (made["name"],)))
    return tuple(found)


# LiteRT's words for what computes nothing, in ONNX's.
_KINDS = {
    "QUANTIZE": "QuantizeLinear",
    "DEQUANTIZE": "DequantizeLinear",
    "TRANSPOSE": "Transpose",
}


def _placement(interpreter: Any) -> str:
    """How many operators XNNPACK has taken, and which LiteRT runs by its own kernels.

    An operator that was taken is still listed: it does not run where its part's output is there.
    """
    operators = interpreter._get_ops_details()
    made_by = {}
    for operator in operators:  # the parts that XNNPACK took come last, and so they win
        made_by.update(dict.fromkeys(map(int, operator["outputs"]), operator))
    todo = [int(item["index"]) for item in interpreter.get_output_details()]
    own: dict[int, str] = {}
    seen = set(todo)
    while todo:
        operator = made_by.get(todo.pop())
        if operator is None:
            continue
        if operator["op_name"] != _DELEGATE:
            own[operator["index"]] = operator["op_name"]
        new = {int(index) for index in operator["inputs"]} - seen
        seen |= new
        todo += new
    count = sum(operator["op_name"] != _DELEGATE for operator in operators)
    names = ", ".join(sorted(set(own.values())))
    rest = f", LiteRT's own kernels (nodes: {len(own)}: {names})" if own else ""
    return f"XNNPACK (nodes: {count - len(own)}){rest}"


def _interpreters() -> Any:
    try:
        return importlib.import_module("ai_edge_litert.interpreter")
    except (ImportError, OSError) as error:
        raise EngineError(
            f"{NAME} is not installed", hint="pip install 'edgecnn[litert]'"
        ) from error


def _version() -> str:
    return importlib.metadata.version(_PACKAGE)


def _allocated(*, threads: int, **source: Any) -> Any:
    """An interpreter with XNNPACK, ready to run; raises ValueError, RuntimeError."""
    with _quiet():
        interpreter = _interpreters().Interpreter(num_threads=threads, **source)
        interpreter.allocate_tensors()
    return interpreter


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """LiteRT's own words as ours."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise EngineError(
            f"{path}: {NAME} {_version()} cannot load what was made of it ({_reason(error)})",
            hint="use --engine onnxruntime, which runs every file",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that LiteRT writes to stderr at each start; it has no switch for them."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)


def _spec(item: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(int(size) for size in item["shape"])
    return TensorSpec(str(item["name"]), np.dtype(item["dtype"]).name, shape)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
