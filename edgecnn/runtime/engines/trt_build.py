"""From an ONNX file to a TensorRT plan: one way through 8.6, 10, 11 and TensorRT-RTX.

What the graph says is what is built: INT8 stands in it as Q and DQ, FP16 as casts and FP16
tensors; there is no calibrator, and TF32 is switched off. Where TensorRT types a network strongly
(from 10 on, and RTX) nothing more is to be said; 8.6 must be allowed the types one by one.
`tests/runtime/test_trt_api.py` holds every name used here against the bindings of each version.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.errors import EngineError, FileError
from edgecnn.files import atomic_path
from edgecnn.onnxfile import read_header
from edgecnn.runtime.engines.trt_log import Log, Progress, monitor

MAX_BATCH = 16
"""Of a file with an open batch: what one run may hold. One image is what it is tuned for."""

_LEAST_WORKSPACE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a plan is built.

    `compute_capabilities` are the GPUs of an ahead-of-time build (TensorRT-RTX; 86 is 8.6); none
    means the GPU that is here. `free_bytes` is the memory that is free on it, None where no GPU
    takes part. `timing` is a file that keeps the timings of kernels from one build to the next.
    """

    compute_capabilities: tuple[int, ...] = ()
    free_bytes: int | None = None
    timing: Path | None = None


def build_plan(
    trt: Any, path: Path, *, options: BuildOptions, progress: Progress | None = None
) -> bytes:
    """Build the plan of a file; where memory runs out it is tried again with less workspace.

    Raises FileError or ModelError where the file is no whole ONNX model, EngineError in our words
    where TensorRT refuses it.
    """
    is_quantized = read_header(path).computes_integers
    limits = workspace_ladder(options.free_bytes)
    for limit in limits:
        attempt = _Attempt(trt, path, options)
        plan = attempt.build(limit, progress, allow_int8=is_quantized)
        if plan is not None:
            return plan
        if limit is limits[-1] or not attempt.log.out_of_memory:
            break
    raise attempt.log.error(f"{path}: the engine cannot be built")


def workspace_ladder(free_bytes: int | None) -> tuple[int | None, ...]:
    """How much scratch memory kernels may take, from much to little; None is TensorRT's own limit.

    The GPU's memory holds the engine and its tensors too, so half of it is the most.
    """
    if free_bytes is None:
        return (None,)
    shares = (free_bytes // 2, free_bytes // 8, _LEAST_WORKSPACE_BYTES)
    return tuple(sorted({max(share, _LEAST_WORKSPACE_BYTES) for share in shares}, reverse=True))


class _Attempt:
    """One build. It holds everything until the end: the network points into the parser."""

    def __init__(self, trt: Any, path: Path, options: BuildOptions) -> None:
        self.log = Log(trt)
        self._trt, self._path, self._options = trt, path, options
        self._builder = self.log.started(trt.Builder)
        self._network = self._builder.create_network(_network_flags(trt))
        self._parser = trt.OnnxParser(self._network, self.log.handle)
        self._parse()

    def _parse(self) -> None:
        network, parser = self._network, self._parser
        read = parser.parse_from_file(str(self._path))
        if read and network.num_outputs:
            return
        faults = [parser.get_error(index) for index in range(parser.num_errors)]
        place = _place(faults[0]) if faults else ""
        said = [fault.desc() for fault in faults]
        raise self.log.error(f"{self._path}: TensorRT cannot read it{place}", *said)

    def build(
        self, workspace_bytes: int | None, progress: Progress | None, *, allow_int8: bool
    ) -> bytes | None:
        """The plan, None where TensorRT gives none and has said why in the log."""
        trt, builder = self._trt, self._builder
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if workspace_bytes is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
        if progress is not None and hasattr(config, "progress_monitor"):
            config.progress_monitor = monitor(trt, progress)
        _set_compute_capabilities(trt, config, self._options.compute_capabilities)
        _allow_types(trt, config, self._network, allow_int8=allow_int8)
        self._add_profile(config)
        timing = None if hasattr(trt, "ComputeCapability") else self._options.timing
        _load_timings(config, timing)
        plan = builder.build_serialized_network(self._network, config)
        if plan is None:
            return None
        _save_timings(config, timing)
        return bytes(plan)

    def _add_profile(self, config: Any) -> None:
        """The sizes of open batches; raises EngineError where anything else is open."""
        network, profile = self._network, self._builder.create_optimization_profile()
        is_open = False
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            shape = tuple(tensor.shape)
            if -1 in shape[1:]:
                raise EngineError(
                    f"{self._path}: the input {tensor.name!r} has an open height or width",
                    hint="TensorRT is built for one size: export the file with a fixed one",
                )
            if shape and shape[0] == -1:
                is_open = True
                rest = shape[1:]
                profile.set_shape(tensor.name, (1, *rest), (1, *rest), (MAX_BATCH, *rest))
        if is_open:
            config.add_optimization_profile(profile)


def _place(fault: Any) -> str:
    """Which node the parser stumbled over; before TensorRT 10 it knows only a number."""
    if hasattr(fault, "node_operator") and hasattr(fault, "node_name"):
        return f" at the {fault.node_operator()} {fault.node_name()!r}"
    return f" at node {fault.node()}"


def _network_flags(trt: Any) -> int:
    flags = 0
    if hasattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH"):
        flags |= 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    if hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        flags |= 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return flags


def _set_compute_capabilities(trt: Any, config: Any, wanted: tuple[int, ...]) -> None:
    if not hasattr(trt, "ComputeCapability"):
        return
    config.num_compute_capabilities = max(1, len(wanted))
    if not wanted:
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    for index, capability in enumerate(wanted):
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{capability}"), index)


def _allow_types(trt: Any, config: Any, network: Any, *, allow_int8: bool) -> None:
    """Of a weakly typed TensorRT: allow what stands in the graph and hold the rest to FP32."""
    if hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        return
    if allow_int8 and hasattr(trt.BuilderFlag, "INT8"):
        config.set_flag(trt.BuilderFlag.INT8)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    types = [layer.get_output(0).dtype for layer in layers]
    if trt.DataType.HALF not in types or not hasattr(trt.BuilderFlag, "FP16"):
        return
    config.set_flag(trt.BuilderFlag.FP16)
    if hasattr(trt.BuilderFlag, "OBEY_PRECISION_CONSTRAINTS"):
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    for layer, kind in zip(layers, types, strict=True):
        if kind == trt.DataType.FLOAT and hasattr(layer, "precision"):
            layer.precision = trt.DataType.FLOAT


def _load_timings(config: Any, timing: Path | None) -> None:
    if timing is None:
        return
    known = timing.read_bytes() if timing.is_file() else b""
    # One that another device or version wrote is refused here, and we start with none.
    if not config.set_timing_cache(config.create_timing_cache(known), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _save_timings(config: Any, timing: Path | None) -> None:
    timings = config.get_timing_cache() if timing is not None else None
    if timing is None or timings is None:
        return
    # It only saves time: where there is no room for it the plan is as good.
    with contextlib.suppress(FileError), atomic_path(timing) as temporary:
        temporary.write_bytes(bytes(timings.serialize()))
