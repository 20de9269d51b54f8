"""Running a file on ONNX Runtime's other execution providers.

ONNX Runtime passes quietly over a provider that does not start, and over nodes that it does not
take: they run on the CPU. Here the provider must be there and where each node ran is counted; what
is left to the CPU is an error, unless the name allows it: `onnxruntime:cuda+cpu`.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import EngineError
from edgecnn.onnxfile import read_header
from edgecnn.runtime import cache
from edgecnn.runtime.engines import ort
from edgecnn.runtime.engines.ort_profile import NodeRun, read_profile
from edgecnn.runtime.engines.providers import CPU_MAY_HELP, PROVIDERS, Provider
from edgecnn.runtime.facts import core_count, cpu_flags, device_name

PLACEMENT = "placement.json"

_SHOWN = 3


def providers_here() -> tuple[str, ...]:
    """The engines that providers of the installed ONNX Runtime make, the CPU's left out."""
    built_in = ort.available_providers()
    return tuple(f"{ort.NAME}:{name}" for name, full in PROVIDERS.items() if full in built_in)


def compile_with(path: Path, provider: Provider, *, sha256: str) -> tuple[Path, bool]:
    """The cache's folder for a file on a provider, and whether this call had to fill it.

    It holds how many nodes each provider took, and what TensorRT built. Raises as `open_with`.
    """
    key = {
        "sha256": sha256,
        "engine": f"{provider.engine} {ort.VERSION}",
        "cpu": " ".join(sorted(cpu_flags())),
        "device": device_name(),  # what a provider compiles for a GPU is of no use to another
        "options": "what a provider compiles, format 1",
    }

    def build(folder: Path) -> None:
        _, placed = _open(path, provider, folder=folder, threads=core_count())
        (folder / PLACEMENT).write_text(json.dumps(placed))

    _check_installed(provider)
    about = f"{path.name} for {provider.engine} {ort.VERSION}"
    return cache.engine_entry(key, build, about=about)


def open_with(
    path: Path, provider: Provider, *, sha256: str, threads: int | None = None
) -> ort.OrtEngine:
    """The engine of a file on a provider, ready to run.

    Raises ModelError where ONNX Runtime refuses the file; EngineError where the installed ONNX
    Runtime does not have the provider, where it does not start here, or where it leaves nodes to
    the CPU that may not help; FileError where the cache cannot be written.
    """
    folder, built = compile_with(path, provider, sha256=sha256)
    threads = threads or core_count()
    session, placed = _open(path, provider, folder=folder, threads=threads)
    told = ", ".join(f"{name} (nodes: {count})" for name, count in placed.items())
    graph = "built" if built else "cached"
    return ort.OrtEngine(session, graph=graph, threads=threads, name=provider.engine, provider=told)


def _open(
    path: Path, provider: Provider, *, folder: Path, threads: int
) -> tuple[Any, dict[str, int]]:
    """A session, and how many nodes each provider runs in it: one run of zeros is looked at."""
    # XNNPACK has threads of its own, which ONNX Runtime's would only disturb.
    options = ort.session_options(
        threads=1 if provider.name == "xnnpack" else threads,
        weights_only=read_header(path).weights_only,
    )
    own_options = _provider_options(path, provider, folder=folder, threads=threads)
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "placement")
        session = ort.open_session(
            path, options, provider=provider.full_name, provider_options=own_options
        )
        if provider.full_name not in session.get_providers():
            raise EngineError(
                f"{provider.engine}: onnxruntime {ort.VERSION} has it, but it does not start here",
                hint=f"its libraries or its device are missing; or use --engine {ort.NAME}",
            )
        probe = ort.OrtEngine(session, graph="", threads=threads, name=provider.engine)
        probe.run({spec.name: np.zeros(_sizes(spec.shape), spec.dtype) for spec in probe.inputs})
        runs = read_profile(Path(session.end_profiling()))
    check_placement(runs, provider)
    counts = Counter(run.provider for run in runs)
    return session, dict(sorted(counts.items(), key=lambda item: item[0] == ort.CPU))


def _check_installed(provider: Provider) -> None:
    built_in = ort.available_providers()
    if provider.full_name not in built_in:
        has = ", ".join(providers_here()) or "the CPU alone"
        raise EngineError(
            f"{provider.engine}: onnxruntime {ort.VERSION} as installed has no "
            f"{provider.full_name} (it has {has})",
            hint=provider.install,
        )


def check_placement(runs: Sequence[NodeRun], provider: Provider) -> None:
    """Raise EngineError where the provider runs nothing, or the CPU a part without leave."""
    left = [run for run in runs if run.provider != provider.full_name]
    if len(left) == len(runs):
        raise EngineError(
            f"{provider.engine}: it takes none of the {len(runs)} nodes, all run on the CPU",
            hint=f"use --engine {ort.NAME}",
        )
    if left and not provider.cpu_may_help:
        names = ", ".join(run.name for run in left[:_SHOWN])
        more = ", …" if len(left) > _SHOWN else ""
        raise EngineError(
            f"{provider.engine}: {len(left)} of {len(runs)} nodes run on the CPU ({names}{more})",
            hint=f"where that is welcome: --engine {provider.engine}{CPU_MAY_HELP}",
        )


def _provider_options(
    path: Path, provider: Provider, *, folder: Path, threads: int
) -> dict[str, str]:
    """FP32 is computed in FP32, threads are kept, and what takes minutes to build is kept too."""
    if provider.name == "cuda":
        return {"use_tf32": "0"}
    if provider.name == "tensorrt":
        return {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_int8_enable": str(int(read_header(path).computes_integers)),
        }
    if provider.name == "openvino":
        return {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)}
    return {"intra_op_num_threads": str(threads)} if provider.name == "xnnpack" else {}


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """An open dimension is one."""
    return tuple(size if isinstance(size, int) else 1 for size in shape)
