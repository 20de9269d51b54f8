"""What TensorRT says while it works: errors come through its logger, seldom as exceptions."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from typing import Any

from edgecnn.errors import EngineError

Progress = Callable[[int, int], None]

_LONGEST = 160
_NOISE = re.compile(r"^(\[.*?\]\s*)+|^\w+::\w+: |Error Code \d+: ")

_OUT_OF_MEMORY = re.compile(
    r"out ?of ?memory|insufficient (workspace|memory)|cudaError 2\b|requested size was", re.I
)

# What is known to go wrong, by words of the log: (pattern, cause, hint).
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"shiftIsAllZeros|zero.?point",
        "its INT8 has zero points other than 0, which TensorRT does not take",
        "quantize it for TensorRT: edgecnn quantize MODEL.onnx --target tensorrt",
    ),
    (
        r"type Int32 but must have type",
        "its INT8 has integer biases, which TensorRT does not take",
        "quantize it for TensorRT: edgecnn quantize MODEL.onnx --target tensorrt",
    ),
    (
        r"No importer registered for op|Plugin not found|Unsupported ONNX",
        "there is no such operation in it",
        "export the model with an older opset, or use --engine onnxruntime",
    ),
    (
        _OUT_OF_MEMORY.pattern,
        "there is too little memory to build the engine",
        "close what else uses the GPU, or build with a smaller batch",
    ),
    (
        r"driver version is insufficient|in the installed CUDA driver|no CUDA-capable device",
        "the NVIDIA driver is too old for this TensorRT, or there is none",
        "update the driver, or install the TensorRT that belongs to it",
    ),
    (
        r"not supported on the target|compute capability",
        "this TensorRT does not build for that GPU",
        "see the compute capabilities that it supports in docs/tensorrt.md",
    ),
)


class Log:
    """Keeps the error lines of one build or load; `handle` is what TensorRT writes to."""

    def __init__(self, trt: Any) -> None:
        self.errors: list[str] = []
        serious = (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR)

        def create(handle: Any) -> None:
            trt.ILogger.__init__(handle)

        def log(_: Any, severity: Any, message: str) -> None:
            if severity in serious:
                self.errors.append(message)

        self.handle = _subclass(trt.ILogger, "Log", {"__init__": create, "log": log})

    def started(self, make: Callable[[Any], Any]) -> Any:
        """TensorRT's builder or runtime, which writes into this log.

        Raises EngineError where CUDA does not let it start: its bindings raise a TypeError then,
        and only the log says why.
        """
        try:
            return make(self.handle)
        except (TypeError, RuntimeError) as error:
            raise self.error("TensorRT does not start", *self.errors, str(error)) from error

    @property
    def out_of_memory(self) -> bool:
        """Whether memory was what was missing."""
        return any(_OUT_OF_MEMORY.search(line) for line in self.errors)

    def error(self, what: str, *said: str) -> EngineError:
        """The first error in our words; `said` are what other parts of TensorRT complained of."""
        lines = (*said, *self.errors)
        for pattern, cause, hint in _KNOWN:
            if found := next((line for line in lines if re.search(pattern, line, re.I)), None):
                return EngineError(f"{what}: {cause} ({_brief(found)})", hint=hint)
        first = _brief(lines[0]) if lines else "it does not say why"
        return EngineError(f"{what}: {first}", hint="try --engine onnxruntime, or report it")


def monitor(trt: Any, progress: Progress) -> Any:
    """An IProgressMonitor that tells (steps done, steps) of the outermost phase."""
    outermost: list[tuple[str, int]] = []

    def create(handle: Any) -> None:
        trt.IProgressMonitor.__init__(handle)

    def phase_start(_: Any, name: str, parent: str | None, steps: int) -> None:
        if parent is None:
            outermost[:] = [(name, steps)]

    def step_complete(_: Any, name: str, step: int) -> bool:
        if outermost and outermost[0][0] == name:
            progress(step + 1, outermost[0][1])
        return True  # False would cancel the build

    def phase_finish(_: Any, name: str) -> None:
        if outermost and outermost[0][0] == name:
            progress(outermost[0][1], outermost[0][1])

    methods = {
        "__init__": create,
        "phase_start": phase_start,
        "step_complete": step_complete,
        "phase_finish": phase_finish,
    }
    return _subclass(trt.IProgressMonitor, "Monitor", methods)


def _subclass(base: Any, name: str, methods: dict[str, Any]) -> Any:
    """An object of a class made here: its base is known only once TensorRT is imported."""
    return types.new_class(name, (base,), exec_body=lambda body: body.update(methods))()


def _brief(line: str) -> str:
    return _NOISE.sub("", " ".join(line.split()))[:_LONGEST]
