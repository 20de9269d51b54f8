"""The device side of a profile: one process that holds one file and times it when told to.

It speaks JSON lines. On stdout it first says `{"ready": {...}}`, then answers each request:
`{"run": 40, "warmup": 4}` with `{"latencies_ns": [...], "wall_ns", "cpu_ns", ...}`,
`{"rest_s": 1}` with what the device spent and how it fares after that second,
`{"layers": true}` with where the time of a run goes, `{"layers": [...], "run_ms", ...}`,
anything it does not understand with `{"error": {...}}`. `{"quit": true}` or the end of stdin ends
it. Nothing else may come on stdout, so what libraries print there is led to stderr.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from edgecnn.contract import Contract
from edgecnn.contract_json import from_json
from edgecnn.errors import DataError, FileError, UsageError
from edgecnn.files import read_error
from edgecnn.runtime import native
from edgecnn.runtime.energy import find_meters
from edgecnn.runtime.facts import core_count, emulator
from edgecnn.runtime.layers import layer_times
from edgecnn.runtime.loading import load
from edgecnn.runtime.measure import Run, warm_up
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Given, Tensor
from edgecnn.runtime.usage import peak_rss_bytes
from edgecnn.runtime.visits import Reply, Visits

Boundary = Literal["engine", "frame", "throughput"]
_Item = TypeVar("_Item")

_MAX_FRAME_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker is to measure; `root` is where the device's file system starts.

    `streams` is for the boundary `throughput`: so many runs at a time, each with `threads`.
    """

    file: Path
    inputs: Path
    engine: str = "onnxruntime"
    threads: int | None = None
    batch: int | None = None
    boundary: Boundary = "engine"
    streams: int | None = None
    contract: Path | None = None
    root: Path = Path("/")


def work(job: Job, requests: Iterable[str], reply: Reply) -> None:
    """Load the file, report `ready`, then obey; raises EdgecnnError where it cannot be loaded."""
    contract = read_contract_file(job.contract) if job.contract else None
    threads, streams = _width(job)
    rss_before_bytes = peak_rss_bytes()
    started_ns = time.perf_counter_ns()
    with ExitStack() as stack:
        models = []
        for _ in range(streams):
            loaded = load(
                job.file,
                engine=job.engine,
                threads=threads,
                contract=contract,
                wait=True,
                check=False,
                warm_up=False,  # the first run is timed
            )
            models.append(stack.enter_context(loaded))
            if len(models) == 1:
                load_ms = (time.perf_counter_ns() - started_ns) / 1e6
        batch = _batch(models[0], job)
        runs = _timed_steps(models, read_frames(job.inputs), boundary=job.boundary, batch=batch)
        meters = find_meters(job.root, gpu=models[0].engine.name.startswith("tensorrt"))
        known = () if isinstance(meters, str) else meters
        layers = partial(_layers, models[0], job, batch)
        visits = stack.enter_context(Visits(runs, layers=layers, meters=known, root=job.root))
        warm_ns = warm_up(runs[0])
        reply(
            {
                "ready": _described(models[0])
                | {
                    "boundary": job.boundary,
                    "batch": batch,
                    "threads": threads or core_count(),
                    "streams": streams,
                    "emulated": emulator(job.root),
                    "load_ms": load_ms,
                    "first_run_ms": warm_ns[0] / 1e6,
                    "warmup_runs": len(warm_ns),
                    "run_ns": visits.warm_streams(warm_ns),
                    "rss_before_load_bytes": rss_before_bytes,
                    "peak_rss_bytes": peak_rss_bytes(),
                    "energy": [meter.source for meter in known],
                    "no_energy": meters if isinstance(meters, str) else None,
                }
            }
        )
        visits.obey(requests, reply)


def _layers(model: Model, job: Job, batch: int) -> dict[str, Any]:
    """The times of the layers; the images are read again, so that timed runs share no memory."""
    tensors = [model.preprocess(frame) for frame in read_frames(job.inputs)]
    return asdict(layer_times(model, tensors, batch=batch))


def _described(model: Model) -> dict[str, Any]:
    return {
        "sha256": model.sha256,
        "engine": model.engine.name,
        "facts": {**model.facts, "preprocess": native.in_use()},
        "precision": model.precision,
    }


def _width(job: Job) -> tuple[int | None, int]:
    """Threads of each run, and how many run at a time; raises UsageError where they do not fit."""
    if job.boundary != "throughput":
        if job.streams is not None:
            raise UsageError(
                f"{job.file}: boundary {job.boundary!r} is one run at a time, not {job.streams}",
                hint="--streams goes with --boundary throughput",
            )
        return job.threads, 1
    threads = job.threads or 1
    return threads, job.streams or max(1, core_count() // threads)


def write_frames(target: Path, frames: Iterable[Given]) -> None:
    """Write uint8 (H, W, 3) frames of any sizes, or sounds, for workers to read."""
    arrays = {f"frame_{index:05d}": frame for index, frame in enumerate(frames)}
    np.savez(target, allow_pickle=False, **arrays)


def read_frames(source: Path) -> Iterator[Given]:
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


def _checked_frame(frame: Any, where: str) -> Given:
    shape = np.shape(frame)
    is_image = frame.dtype == np.uint8 and len(shape) == 3 and shape[2] == 3
    is_sound = frame.dtype == np.float32 and len(shape) == 1
    if not (is_image or is_sound) or 0 in shape:
        raise DataError(f"{where} is {frame.dtype} {shape}, not uint8 HWC RGB", hint=_FRAMES_HINT)
    if frame.nbytes > _MAX_FRAME_BYTES:
        raise DataError(f"{where} has {frame.nbytes} bytes", hint="give smaller images")
    checked: Given = frame
    return checked


def read_contract_file(path: Path) -> Contract:
    """A contract that came beside its file; raises FileError, ContractError."""
    try:
        return from_json(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not a text file", hint="give a contract as JSON") from error


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


def _timed_steps(
    models: list[Model], frames: Iterable[Given], *, boundary: Boundary, batch: int
) -> list[Run]:
    """What one run is, for each stream: `frame` starts at the pixels, else the input is ready."""
    if boundary == "frame":
        images = _some(frames)
        return [_frame_run(model, images) for model in models]
    name = models[0].engine.inputs[0].name
    batches = _batches(_some(models[0].preprocess(frame) for frame in frames), batch)
    feeds = [{name: tensor} for tensor in batches]
    return [_engine_run(model, feeds) for model in models]


def _frame_run(model: Model, images: list[Given]) -> Run:
    return lambda index: _ignore(model(images[index % len(images)]))


def _engine_run(model: Model, feeds: list[dict[str, Tensor]]) -> Run:
    return lambda index: _ignore(model.engine.run(feeds[index % len(feeds)]))


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
