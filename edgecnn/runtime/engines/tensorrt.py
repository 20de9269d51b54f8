"""Running a plan of TensorRT 8.6 to 11 or TensorRT-RTX on the GPU that is here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Dimension, TensorSpec
from edgecnn.errors import EngineError, FileError
from edgecnn.files import atomic_path
from edgecnn.runtime import cache
from edgecnn.runtime.engines.base import Feeds
from edgecnn.runtime.engines.cuda import Buffer, Cuda, Gpu, find_gpu
from edgecnn.runtime.engines.trt_build import MAX_BATCH
from edgecnn.runtime.engines.trt_log import Log
from edgecnn.runtime.engines.trt_plans import Plan, compile_plan, dotted, library

_JIT = "kernels.bin"
# TensorRT's DataType -> NumPy's name.
_DTYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "UINT8": "uint8", "INT32": "int32",
    "INT64": "int64", "BOOL": "bool",
}  # fmt: skip


def open_plan(path: Path, *, engine: str, sha256: str) -> TensorrtEngine:
    """The engine of a file on this device's GPU, ready to run.

    A plan that TensorRT refuses is built once more. Raises as `compile_plan` does.
    """
    plan = compile_plan(path, engine=engine, sha256=sha256)
    trt = library(engine)
    try:
        return TensorrtEngine(trt, plan)
    except EngineError:
        if plan.built:
            raise
    cache.discard(plan.folder)
    return TensorrtEngine(trt, compile_plan(path, engine=engine, sha256=sha256))


class TensorrtEngine:
    """A plan that is loaded on the GPU, with memory for its tensors on both sides.

    Raises EngineError where TensorRT refuses the plan or the GPU has too little memory.
    """

    def __init__(self, trt: Any, plan: Plan) -> None:
        self._plan = plan
        self.name = plan.engine
        self.facts = _facts(plan, find_gpu())
        self._log = Log(trt)
        self._runtime: Any = None
        self._engine: Any = None
        self._jit: Any = None
        self._context: Any = None
        self._buffers: dict[str, Buffer] = {}
        self._cuda = Cuda()
        try:
            self._load(trt)
        except EngineError:
            with contextlib.suppress(EngineError):  # the first one says what went wrong
                self.close()
            raise

    def _load(self, trt: Any) -> None:
        plan = self._plan
        self._runtime = self._log.started(trt.Runtime)
        engine = self._runtime.deserialize_cuda_engine(plan.path.read_bytes())
        if engine is None:
            raise self._log.error(f"{plan.path}: the plan cannot be loaded")
        self._engine = engine
        self._context = self._new_context(trt)
        if self._context is None:
            raise self._log.error(f"{plan.path}: the plan cannot be run")
        specs = [(_spec(engine, name), name) for name in _tensor_names(engine)]
        is_input = {
            name: engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for _, name in specs
        }
        self.inputs = tuple(spec for spec, name in specs if is_input[name])
        self.outputs = tuple(spec for spec, name in specs if not is_input[name])
        self._allocate()

    def run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        """Run once; an open batch may be of any size and is run in parts where it must.

        Raises EngineError where a tensor does not fit or the GPU fails.
        """
        rows = len(feeds[self.inputs[0].name])
        if self.inputs[0].batch is not None or rows <= MAX_BATCH:
            return self._run(feeds)
        answers: list[dict[str, NDArray[Any]]] = []
        for start in range(0, rows, MAX_BATCH):
            part = {name: value[start : start + MAX_BATCH] for name, value in feeds.items()}
            answers.append({name: value.copy() for name, value in self._run(part).items()})
        return {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}

    def close(self) -> None:
        """Give the GPU's memory back; what was compiled for this GPU while running is kept."""
        self._keep_kernels()
        for buffer in self._buffers.values():
            buffer.free()
        self._buffers = {}
        self._context = self._jit = self._engine = self._runtime = None
        self._cuda.close()

    def _new_context(self, trt: Any) -> Any:
        """An execution context; of TensorRT-RTX with the kernels that earlier runs compiled."""
        engine = self._engine
        if not hasattr(trt, "IRuntimeCache"):
            return engine.create_execution_context()
        runtime_config = engine.create_runtime_config()
        self._jit = runtime_config.create_runtime_cache()
        kept = self._plan.folder / _JIT
        if kept.is_file():
            self._jit.deserialize(kept.read_bytes())  # refused where it is of another device
        runtime_config.set_runtime_cache(self._jit)
        return engine.create_execution_context(runtime_config)

    def _keep_kernels(self) -> None:
        if self._jit is None:
            return
        target = self._plan.folder / _JIT
        with contextlib.suppress(FileError), atomic_path(target) as temporary:
            temporary.write_bytes(bytes(self._jit.serialize()))

    def _allocate(self) -> None:
        """Memory for the largest batch; the context learns where it lies."""
        engine, context = self._engine, self._context
        for spec in self.inputs:
            if spec.batch is None:
                largest = engine.get_tensor_profile_shape(spec.name, 0)[-1]
                context.set_input_shape(spec.name, tuple(largest))
        for spec in (*self.inputs, *self.outputs):
            shape = tuple(context.get_tensor_shape(spec.name))
            self._buffers[spec.name] = self._cuda.buffer(shape, spec.dtype)
            context.set_tensor_address(spec.name, self._buffers[spec.name].address)

    def _run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        context, cuda = self._context, self._cuda
        cuda.enter()
        for spec in self.inputs:
            value = feeds[spec.name]
            _check_feed(spec, value)
            if tuple(context.get_tensor_shape(spec.name)) != value.shape:
                context.set_input_shape(spec.name, value.shape)
            self._buffers[spec.name].host(value.shape)[...] = value
            self._buffers[spec.name].to_device(cuda.stream, value.nbytes)
        if not context.execute_async_v3(cuda.stream):
            raise self._log.error(f"{self.name} failed")
        answers = {}
        for spec in self.outputs:
            shape = tuple(context.get_tensor_shape(spec.name))
            answers[spec.name] = self._buffers[spec.name].host(shape)
            self._buffers[spec.name].to_host(cuda.stream, answers[spec.name].nbytes)
        cuda.wait()
        return answers


def _facts(plan: Plan, gpu: Gpu) -> Mapping[str, str]:
    return {
        "engine": f"{plan.engine} {dotted(plan.version)}",
        "provider": f"{gpu.name}, compute capability {gpu.compute_capability / 10:.1f}",
        "driver": gpu.driver,
        "memory": "shared with the CPU" if gpu.integrated else "copied each run",
        "graph": "built" if plan.built else "cached",
    }


def _tensor_names(engine: Any) -> list[str]:
    return [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]


def _spec(engine: Any, name: str) -> TensorSpec:
    kind = engine.get_tensor_dtype(name).name
    if kind not in _DTYPES:
        raise EngineError(
            f"the tensor {name!r} is of type {kind}, which NumPy does not know",
            hint="export the file with float32 inputs and outputs",
        )
    return TensorSpec(name, _DTYPES[kind], tuple(map(_dimension, engine.get_tensor_shape(name))))


def _dimension(size: int) -> Dimension:
    return "batch" if size < 0 else int(size)


def _check_feed(spec: TensorSpec, value: NDArray[Any]) -> None:
    fits = len(value.shape) == len(spec.shape) and all(
        isinstance(want, str) or want == size
        for want, size in zip(spec.shape, value.shape, strict=True)
    )
    if not fits or value.dtype != spec.dtype:
        wanted = "x".join(map(str, spec.shape))
        raise EngineError(
            f"input {spec.name!r} takes {spec.dtype} {wanted}, not {value.dtype} {value.shape}",
            hint="check the input's shape and type against: edgecnn inspect FILE",
        )
