"""Measure files on a device: one process a file, visited in blocks of random order."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgecnn.contract import Contract, to_json
from edgecnn.devices import Device, Worker
from edgecnn.devices.worker import Visit
from edgecnn.errors import DataError, UsageError
from edgecnn.onnxfile import read_contract
from edgecnn.profiling.plan import Plan, blocks_needed, make_plan, visiting_orders
from edgecnn.profiling.records import Measurement, Profile
from edgecnn.profiling.state import state_of
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.worker import Boundary, write_frames

Progress = Callable[[int, int], None]

_NO_SENSOR = {"unavailable": "no power sensor is read"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to measure.

    `threads` None is all cores, `batch` None the file's own. `boundary` is what one run is:
    `engine` with its input ready, `frame` from uint8 pixels to the result. Blocks are added until
    every median is known to `precision` (relative), for `time_limit_s` at most. `contracts` stand
    in for files that carry none.
    """

    engine: str = "onnxruntime"
    threads: int | None = None
    batch: int | None = None
    boundary: Boundary = "engine"
    precision: float = 0.02
    time_limit_s: float = 60.0
    seed: int = 0
    contracts: Mapping[Path, Contract] = field(default_factory=dict)


def profile_files(
    files: Sequence[Path],
    *,
    device: Device,
    images: Sequence[Image],
    options: Options | None = None,
    planned: Callable[[Plan], None] | None = None,
    progress: Progress | None = None,
) -> tuple[Profile, ...]:
    """Measure files on a device with real images, uint8 (H, W, 3) RGB, in turn as inputs.

    `planned` hears the plan once all files are loaded and warm; `progress` hears (blocks done,
    blocks expected). Raises what loading a file raises, EngineError where a worker dies,
    DeviceError where the device does not answer; no process is left behind in any case.
    """
    options = options or Options()
    _check(files, images, options)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecnn-")))
        write_frames(folder / "frames.npz", images)
        workers = [
            stack.enter_context(_opened(device, path, folder, options, index))
            for index, path in enumerate(files)
        ]
        plan = make_plan(
            [worker.ready.run_ns for worker in workers], time_limit_s=options.time_limit_s
        )
        if planned:
            planned(plan)
        visits = _visit_all(workers, plan, options, progress or _ignore)
        return tuple(
            _profile(path, _contract(path, options), worker, seen)
            for path, worker, seen in zip(files, workers, visits, strict=True)
        )


def _check(files: Sequence[Path], images: Sequence[Image], options: Options) -> None:
    if not files:
        raise UsageError("no file to measure", hint="name one: edgecnn profile FILE...")
    if not images:
        raise DataError("no images to measure with", hint="give at least one image")
    if not options.precision > 0 or not options.time_limit_s > 0:
        raise UsageError(
            f"precision {options.precision}, time limit {options.time_limit_s} s: not above 0",
            hint="for example a precision of 0.02 and a time limit of 60 s",
        )


@contextmanager
def _opened(
    device: Device, path: Path, folder: Path, options: Options, index: int
) -> Iterator[Worker]:
    arguments = [device.push(path), "--inputs", device.push(folder / "frames.npz")]
    arguments += ["--engine", options.engine, "--boundary", options.boundary]
    if options.threads is not None:
        arguments += ["--threads", str(options.threads)]
    if options.batch is not None:
        arguments += ["--batch", str(options.batch)]
    if path in options.contracts:
        beside = folder / f"contract_{index}.json"
        beside.write_text(to_json(options.contracts[path]), encoding="utf-8")
        arguments += ["--contract", device.push(beside)]
    with _warm(device, arguments, path) as worker:
        yield worker


def _warm(device: Device, arguments: Sequence[str], path: Path) -> Worker:
    """A worker that found its engine in the cache: building one takes time and memory."""
    worker = Worker(device, arguments, file=str(path))
    if worker.ready.facts.get("graph") != "built":
        return worker
    worker.close()
    return Worker(device, arguments, file=str(path))


def _visit_all(
    workers: Sequence[Worker], plan: Plan, options: Options, progress: Progress
) -> list[list[Visit]]:
    """Blocks until the medians are known; each visits every file once, in its own order."""
    orders = visiting_orders(len(workers), seed=options.seed)
    visits: list[list[Visit]] = [[] for _ in workers]
    started_s = time.monotonic()
    done, total = 0, plan.blocks
    while done < total:
        for index in next(orders):
            visit = workers[index].visit(runs=plan.runs[index], warmup=plan.warmup[index])
            visits[index].append(visit)
        done += 1
        total = blocks_needed(
            [[np.array(visit.latencies_ns) for visit in seen] for seen in visits],
            plan,
            precision=options.precision,
            elapsed_s=time.monotonic() - started_s,
            time_limit_s=options.time_limit_s,
        )
        progress(done, total)
    return visits


def _contract(path: Path, options: Options) -> Contract:
    return options.contracts[path] if path in options.contracts else read_contract(path)


def _profile(path: Path, contract: Contract, worker: Worker, visits: Sequence[Visit]) -> Profile:
    ready = worker.ready
    wall_ns, cpu_ns = (sum(visit.wall_ns for visit in visits), sum(v.cpu_ns for v in visits))
    measurement = Measurement(
        latencies_ns=tuple(value for visit in visits for value in visit.latencies_ns),
        block_runs=tuple(len(visit.latencies_ns) for visit in visits),
        warmup=ready.warmup_runs,
        batch=ready.batch,
        threads=ready.threads,
        boundary=ready.boundary,
        engine=ready.engine,
        facts=ready.facts,
        cpu_share=cpu_ns / (wall_ns * ready.threads),
        model_sha256=ready.sha256,
    )
    return Profile(
        file=str(path),
        contract=contract,
        measurement=measurement,
        state=state_of(measurement.blocks, emulated=ready.emulated),
        size_bytes=path.stat().st_size,
        load_ms=ready.load_ms,
        first_run_ms=ready.first_run_ms,
        rss_before_load_bytes=ready.rss_before_load_bytes,
        peak_rss_bytes=max(visit.peak_rss_bytes for visit in visits),
        energy=_NO_SENSOR,
    )


def _ignore(done: int, total: int) -> None:
    del done, total
