"""The errors that layers add, found out on this machine or image by image on a fleet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.devices.conversation import garbage
from edgecnn.devices.fleet import Job, open_fleet
from edgecnn.errors import DataError, EdgecnnError
from edgecnn.graph.load import load_onnx
from edgecnn.graph.sensitivity import TOGETHER, LayerError, Pair, Ranking, sensitivity
from edgecnn.graph.tally import Sums, parse_sums
from edgecnn.graph.wiring import FloatArray
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.scheduler import Scheduler, fleet_of

if TYPE_CHECKING:
    from onnx import ModelProto


def ranking_on(scheduler: Scheduler | None, narrator: Narrator) -> Ranking:
    """How the errors of layers are found out: here, or on a fleet, whose scheduler must answer.

    Raises UsageError, DeviceError as `open_fleet` does.
    """
    if scheduler is None:
        return sensitivity
    with fleet_of(scheduler):
        pass
    return partial(_on_fleet, scheduler, narrator)


def sums_job(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    """What two models do on some images, summed up; a job of a fleet."""
    pair = Pair(load_onnx(files["float"]), load_onnx(files["quantized"]))
    sums = pair.sums(_read(files["images"]), **arguments)
    return {"sums": {name: each.document() for name, each in sums.items()}}


def _on_fleet(
    scheduler: Scheduler,
    narrator: Narrator,
    model: ModelProto,
    quantized: ModelProto,
    images: Sequence[FloatArray],
) -> tuple[LayerError, ...]:
    pair, found = Pair(model, quantized), dict[Job, dict[str, Sums]]()
    with (
        tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch,
        open_fleet(scheduler.address, plain=scheduler.plain, tell=narrator.warn) as fleet,
        narrator.progress("sensitivity") as progress,
    ):
        parcel = _parcel(Path(scratch), model, quantized)
        jobs = [
            Job(sums_job, {}, parcel | {"images": images}, scheduler.kind)
            for images in _written(Path(scratch), images)
        ]
        for job, result in fleet.results(jobs):
            found[job] = _sums(result)
            progress(len(found), len(jobs))
    # In the order of the images, whoever was first: sums are the same each time.
    return pair.errors(_merged(pair.tensors, [found[job] for job in jobs]))


def _merged(tensors: Sequence[str], parts: Sequence[Mapping[str, Sums]]) -> dict[str, Sums]:
    try:
        return {name: reduce(Sums.plus, (part[name] for part in parts)) for name in tensors}
    except (KeyError, ValueError) as error:
        raise garbage("a job", f"sums of other tensors ({error!r})") from error


def _parcel(folder: Path, model: ModelProto, quantized: ModelProto) -> dict[str, Path]:
    parcel = {"float": folder / "float.onnx", "quantized": folder / "quantized.onnx"}
    for path, graph in zip(parcel.values(), (model, quantized), strict=True):
        path.write_bytes(graph.SerializeToString())
    return parcel


def _written(folder: Path, images: Sequence[FloatArray]) -> Iterator[Path]:
    for start in range(0, len(images), TOGETHER):
        target = folder / f"images_{start}.npz"
        np.savez(target, *images[start : start + TOGETHER], allow_pickle=False)
        yield target


def _read(source: Path) -> Iterator[FloatArray]:
    try:
        with np.load(source, allow_pickle=False) as stored:
            yield from (stored[name] for name in stored.files)
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: no images ({error})", hint="run it again") from error


def _sums(result: Mapping[str, Any] | EdgecnnError) -> dict[str, Sums]:
    if isinstance(result, EdgecnnError):
        raise result
    try:
        return {str(name): parse_sums(each) for name, each in result["sums"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise garbage("a job", repr(error)) from error
