"""The device side of a profile: one process that holds one file and times it when told to.

It speaks JSON lines. On stdout it first says `{"ready": {...}}`, then answers each request:
`{"run": 40, "warmup": 4}` with `{"latencies_ns": [...], "wall_ns", "cpu_ns", "peak_rss_bytes"}`,
anything it does not understand with `{"error": {...}}`. `{"quit": true}` or the end of stdin ends
it. Nothing else may come on stdout, so what libraries print there is led to stderr.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from edgecnn.contract import Contract, from_json
from edgecnn.errors import DataError, EdgecnnError, FileError, UsageError
from edgecnn.files import read_error
from edgecnn.runtime.facts import core_count, emulator
from edgecnn.runtime.measure import Run, measure, middle, warm_up
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.preprocess import Image, Tensor

Boundary = Literal["engine", "frame"]
Reply = Callable[[Mapping[str, Any]], None]
_Item = TypeVar("_Item")

MAX_RUNS = 1_000_000
_MAX_FRAME_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker is to measure."""

    file: Path
    inputs: Path
    engine: str = "onnxruntime"
    threads: int | None = None
    batch: int | None = None
    boundary: Boundary = "engine"
    contract: Path | None = None


def work(job: Job, requests: Iterable[str], reply: Reply) -> None:
    """Load the file, report `ready`, then obey; raises EdgecnnError where it cannot be loaded."""
    contract = read_contract_file(job.contract) if job.contract else None
    rss_before_bytes = peak_rss_bytes()
    started_ns = time.perf_counter_ns()
    with load(job.file, engine=job.engine, threads=job.threads, contract=contract) as model:
        load_ms = (time.perf_counter_ns() - started_ns) / 1e6
        batch = _batch(model, job)
        run = _timed_step(model, read_frames(job.inputs), boundary=job.boundary, batch=batch)
        warm_ns = warm_up(run)
        ready = {
            "sha256": model.sha256,
            "engine": model.engine.name,
            "facts": dict(model.facts),
            "precision": model.precision,
            "boundary": job.boundary,
            "batch": batch,
            "threads": job.threads or core_count(),
            "emulated": emulator(),
            "load_ms": load_ms,
            "first_run_ms": warm_ns[0] / 1e6,
            "warmup_runs": len(warm_ns),
            "run_ns": middle(warm_ns),
            "rss_before_load_bytes": rss_before_bytes,
            "peak_rss_bytes": peak_rss_bytes(),
        }
        reply({"ready": ready})
        _obey(run, requests, reply)


def error_reply(error: EdgecnnError) -> dict[str, Any]:
    """An error as a line of the protocol."""
    kind = type(error).__name__
    return {"error": {"type": kind, "message": str(error), "hint": error.hint}}


def write_frames(target: Path, frames: Iterable[Image]) -> None:
    """Write uint8 (H, W, 3) frames of any sizes for workers to read."""
    arrays = {f"frame_{index:05d}": frame for index, frame in enumerate(frames)}
    np.savez(target, allow_pickle=False, **arrays)


def read_frames(source: Path) -> Iterator[Image]:
    """The frames that `write_frames` wrote, one by one; raises FileError, DataError."""
    try:
        with np.load(source, allow_pickle=False) as stored:
            for name in stored.files:
                yield _checked_frame(stored[name], f"{source}: {name}")
    except OSError as error:
        raise read_error(source, error) from error
    except (ValueError, EOFError, MemoryError) as error:
        raise DataError(f"{source}: not a file of frames ({error})", hint=_FRAMES_HINT) from error


_FRAMES_HINT = "frames are written by the profiler; run it again"


def _checked_frame(frame: Any, where: str) -> Image:
    shape = np.shape(frame)
    if frame.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise DataError(f"{where} is {frame.dtype} {shape}, not uint8 HWC RGB", hint=_FRAMES_HINT)
    if math.prod(shape) > _MAX_FRAME_BYTES:
        raise DataError(f"{where} has {math.prod(shape)} bytes", hint="give smaller images")
    checked: Image = frame
    return checked


def read_contract_file(path: Path) -> Contract:
    """A contract that came beside its file; raises FileError, ContractError."""
    try:
        return from_json(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not a text file", hint="give a contract as JSON") from error


def peak_rss_bytes() -> int:
    """The most memory this process ever held, in bytes.

    VmHWM where there is one: ru_maxrss starts with what the parent held when it forked.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _batch(model: Model, job: Job) -> int:
    """How many images one run takes; raises UsageError for what the file cannot do."""
    fixed = model.engine.inputs[0].batch
    batch = job.batch or fixed or 1
    if fixed is not None and batch != fixed:
        raise UsageError(
            f"{job.file}: takes batches of {fixed}, not {batch}",
            hint=f"export it again with --batch {batch}, or --batch dynamic",
        )
    if job.boundary == "frame" and batch != 1:
        raise UsageError(
            f"{job.file}: boundary 'frame' is one frame to its result, not a batch of {batch}",
            hint="use --boundary engine, or a file with batch 1",
        )
    return batch


def _timed_step(model: Model, frames: Iterable[Image], *, boundary: Boundary, batch: int) -> Run:
    """What one run is: `engine` has its input ready, `frame` starts at the pixels."""
    if boundary == "frame":
        images = _some(frames)
        return lambda index: _ignore(model(images[index % len(images)]))
    engine, name = model.engine, model.engine.inputs[0].name
    batches = _batches(_some(model.preprocess(frame) for frame in frames), batch)
    feeds = [{name: tensor} for tensor in batches]
    return lambda index: _ignore(engine.run(feeds[index % len(feeds)]))


def _some(items: Iterable[_Item]) -> list[_Item]:
    found = list(items)
    if not found:
        raise DataError("no frames to measure with", hint="give at least one image")
    return found


def _batches(tensors: list[Tensor], batch: int) -> list[Tensor]:
    """Different batches that show every image; at least two where there are two images."""
    count = min(len(tensors), max(2, math.ceil(len(tensors) / batch)))
    starts = (index * batch if batch < len(tensors) else index for index in range(count))
    rows = ([tensors[(start + i) % len(tensors)] for i in range(batch)] for start in starts)
    return [np.ascontiguousarray(np.concatenate(row)) for row in rows]


def _ignore(result: object) -> None:
    del result


def _obey(run: Run, requests: Iterable[str], reply: Reply) -> None:
    done = 0
    for line in requests:
        try:
            request = _request(line)
            if request is None:
                return
            runs, warmup = request
            reply(_visit(run, runs=runs, warmup=warmup, first=done))
            done += runs + warmup
        except EdgecnnError as error:
            reply(error_reply(error))


def _visit(run: Run, *, runs: int, warmup: int, first: int) -> dict[str, Any]:
    measure(run, runs=warmup, first=first)
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    latencies_ns = measure(run, runs=runs, first=first + warmup)
    return {
        "latencies_ns": latencies_ns,
        "wall_ns": time.perf_counter_ns() - wall_ns,
        "cpu_ns": time.process_time_ns() - cpu_ns,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def _request(line: str) -> tuple[int, int] | None:
    """(runs, warmup), or None for the end; raises UsageError for anything else."""
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UsageError(f"not a JSON object: {line.strip()[:80]!r}", hint=_REQUEST_HINT)
    if document == {"quit": True}:
        return None
    counts = (document.get("run"), document.get("warmup", 0))
    whole = all(isinstance(count, int) and not isinstance(count, bool) for count in counts)
    if set(document) - {"run", "warmup"} or not whole:
        raise UsageError(f"not a request: {line.strip()[:80]!r}", hint=_REQUEST_HINT)
    if not 1 <= counts[0] <= MAX_RUNS or not 0 <= counts[1] <= MAX_RUNS:  # type: ignore[operator]
        raise UsageError(f"runs out of range: {line.strip()[:80]!r}", hint=_REQUEST_HINT)
    return counts  # type: ignore[return-value]


_REQUEST_HINT = f'{{"run": 1 to {MAX_RUNS}, "warmup": 0 or more}} or {{"quit": true}}'
