"""Measure files on a device: one process a file, visited in blocks of random order."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgecnn.contract import Contract
from edgecnn.contract_json import to_json
from edgecnn.devices import Device, Worker
from edgecnn.errors import DataError, EdgecnnError, UsageError
from edgecnn.onnxfile import read_contract
from edgecnn.profiling.journal import Journal
from edgecnn.profiling.layers import TimedLayer, TimedLayers
from edgecnn.profiling.options import Listener as Listener
from edgecnn.profiling.options import Options as Options
from edgecnn.profiling.options import Step
from edgecnn.profiling.plan import make_plan
from edgecnn.profiling.records import Measurement, Profile
from edgecnn.profiling.rounds import Block, Rounds
from edgecnn.profiling.state import mark_of
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.worker import write_frames

_IDLE_S = 1.0  # of which the power at rest is measured, before and after
_GLANCE_S = 0.01


def profile_files(
    files: Sequence[Path],
    *,
    device: Device,
    images: Sequence[Image],
    options: Options | None = None,
    listener: Listener | None = None,
    journal: Journal | None = None,
) -> tuple[Profile, ...]:
    """Measure files on a device with real images, uint8 (H, W, 3) RGB, in turn as inputs.

    Blocks that `journal` holds are not measured again, and each new one is kept there at once.
    Layers that cannot be timed are no error: their profile says why.
    Raises what loading a file raises, EngineError where a worker dies, DeviceError where the
    device does not answer; no process is left behind in any case.
    """
    options, listener = options or Options(), listener or Listener()
    _check(files, images, options)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecnn-")))
        write_frames(folder / "frames.npz", images)
        workers = [
            stack.enter_context(_opened(device, path, folder, options, index))
            for index, path in _told("load", files, listener)
        ]
        plan = make_plan(
            [worker.ready.run_ns for worker in workers], time_limit_s=options.time_limit_s
        )
        if listener.planned:
            listener.planned(plan)
        session = _Session(workers, _idle(workers), datetime.now(timezone.utc).isoformat())
        rounds = Rounds(workers, plan, options, journal)
        blocks = rounds.measure(listener)
        idle_w = session.idle.watts
        if not rounds.interrupted:
            idle_w = _mean(idle_w, _idle(workers).watts)
        profiles = tuple(
            session.profile(path, _contract(path, options), index, blocks, idle_w)
            for index, path in enumerate(files)
        )
        if rounds.interrupted:
            return profiles
        if options.layers:
            profiles = _with_layers(profiles, workers, listener)
        if journal:
            journal.remove()
        return profiles


_File = TypeVar("_File", str, Path)


def _told(
    doing: Literal["load", "layers"], files: Sequence[_File], listener: Listener
) -> Iterator[tuple[int, _File]]:
    """The files one by one, each told before its turn."""
    for index, path in enumerate(files):
        if listener.step:
            listener.step(Step(doing, str(path), index, len(files)))
        yield index, path


def _with_layers(
    profiles: Sequence[Profile], workers: Sequence[Worker], listener: Listener
) -> tuple[Profile, ...]:
    """The profiles with the times of their layers; Ctrl-C ends only this where `listener` hears it.

    It comes after all measuring, which a second engine in memory would disturb.
    """
    found = [TimedLayers(unavailable="interrupted")] * len(profiles)
    try:
        for index, _ in _told("layers", [profile.file for profile in profiles], listener):
            found[index] = _timed_layers(workers[index])
    except KeyboardInterrupt:
        if listener.interrupted is None:
            raise
    pairs = zip(profiles, found, strict=True)
    return tuple(dataclasses.replace(profile, layers=layers) for profile, layers in pairs)


def _timed_layers(worker: Worker) -> TimedLayers:
    """The layers with the names that the engine has for what they came from."""
    try:
        times = worker.layers()
    except EdgecnnError as error:
        return TimedLayers(unavailable=str(error))
    rows = ((each.layer, each.time_ms) for each in times.layers)
    layers = tuple(
        TimedLayer(layer.name, layer.origins, layer.kind, layer.precision, time_ms)
        for layer, time_ms in rows
    )
    return TimedLayers(layers, times.run_ms, times.profiled_ms, times.runs)


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
    if options.streams is not None:
        arguments += ["--streams", str(options.streams)]
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


@dataclass(frozen=True, slots=True)
class _Idle:
    """A device at rest: watts where a sensor counts, and what has throttled it so far."""

    watts: float | None
    throttle_counts: Mapping[str, int]


def _idle(workers: Sequence[Worker]) -> _Idle:
    """Look at the device while all workers wait; long enough for its power, if that is known."""
    first = workers[0]
    rest = first.rest(_IDLE_S if first.ready.energy else _GLANCE_S)
    watts = None if rest.energy_j is None else rest.energy_j / (rest.wall_ns / 1e9)
    return _Idle(watts, rest.state["throttle_counts"])


def _mean(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else (before + after) / 2


def _contract(path: Path, options: Options) -> Contract:
    return options.contracts[path] if path in options.contracts else read_contract(path)


@dataclass(frozen=True, slots=True)
class _Session:
    """What all profiles of one measurement share."""

    workers: Sequence[Worker]
    idle: _Idle
    started: str

    def profile(
        self,
        path: Path,
        contract: Contract,
        index: int,
        blocks: Sequence[Block],
        idle_w: float | None,
    ) -> Profile:
        """The profile of one file: its visit in every block."""
        ready, own = self.workers[index].ready, [block[index] for block in blocks]
        measured = self._measurement(index, blocks)
        mark = mark_of(measured, emulated=ready.emulated)
        return Profile(
            file=str(path),
            contract=contract,
            measurement=measured,
            state=mark.state,
            why=mark.why,
            size_bytes=path.stat().st_size,
            load_ms=ready.load_ms,
            first_run_ms=ready.first_run_ms,
            rss_before_load_bytes=ready.rss_before_load_bytes,
            peak_rss_bytes=max(each.visit.peak_rss_bytes for each in own),
            energy=_energy(ready.energy, ready.no_energy, idle_w),
        )

    def _measurement(self, index: int, blocks: Sequence[Block]) -> Measurement:
        ready, own = self.workers[index].ready, [block[index] for block in blocks]
        visits = [each.visit for each in own]
        wall_ns, cpu_ns = sum(visit.wall_ns for visit in visits), sum(v.cpu_ns for v in visits)
        return Measurement(
            latencies_ns=tuple(value for visit in visits for value in visit.latencies_ns),
            block_runs=tuple(len(visit.latencies_ns) for visit in visits),
            warmup=ready.warmup_runs,
            batch=ready.batch,
            threads=ready.threads,
            boundary=ready.boundary,
            engine=ready.engine,
            facts=ready.facts,
            cpu_share=cpu_ns / (wall_ns * ready.threads * ready.streams),
            model_sha256=ready.sha256,
            streams=ready.streams,
            session=self.started,
            around=tuple(each.around for each in own),
            throttle_before=self.idle.throttle_counts,
        )


def _energy(sources: Sequence[str], why_none: str | None, idle_w: float | None) -> dict[str, Any]:
    if not sources:
        return {"unavailable": why_none or "no power sensor"}
    return {"sources": list(sources), "idle_w": idle_w}
