"""Accuracy where a file will run: frames go to a device in shards, classes come back.

Pictures are decoded here, since a camera gives frames; preprocessing, engine and arithmetic are the
device's own.
"""

from __future__ import annotations

import math
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.contract_json import to_json
from edgecnn.datasets.images import read_image
from edgecnn.datasets.labelled import LabelledImage, LabelledImages
from edgecnn.devices import Device
from edgecnn.devices.conversation import START_TIMEOUT_S, Conversation
from edgecnn.errors import DeviceError
from edgecnn.onnxfile import model_sha256
from edgecnn.profiling.accuracy import Predictions, Progress, check_classes, refuse_random_weights
from edgecnn.runtime.classes import TOGETHER, TOP
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.worker import write_frames

SHARD_BYTES = 64 << 20
_MAX_TEXT = 200
_SURE = 1.01  # what a network calls its probabilities need not sum up to 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a device says once a file is loaded there."""

    sha256: str
    engine: str
    facts: Mapping[str, str]
    precision: str
    emulated: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """The classes of a shard's frames: `top` (n, k) int64, `score` (n,) float64, of `classes`."""

    classes: int
    top: NDArray[np.int64]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shard:
    """Some images in their order, and the file of their frames."""

    items: tuple[LabelledImage, ...]
    frames: Path


@dataclass(frozen=True, slots=True)
class Subject:
    """A file that is to be judged, and how it is to be loaded; `threads` None is all cores."""

    path: Path
    contract: Contract
    engine: str = "onnxruntime"
    threads: int | None = None


def evaluate_elsewhere(
    device: Device, subject: Subject, images: LabelledImages, *, progress: Progress | None = None
) -> Predictions:
    """Answer all images on a device, as `evaluate_file` does on this machine.

    Raises the device's own EdgecnnError, DataError for images, classes or weights that cannot be
    judged, DeviceError where the device is lost or answers what cannot be.
    """
    path, contract = subject.path, subject.contract
    refuse_random_weights(path, contract)
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        folder = Path(scratch)
        with Conversation(device, _verb(device, subject, folder), file=str(path)) as talk:
            loaded = talk.hear(parse_loaded, timeout_s=START_TIMEOUT_S)
            named: list[tuple[Shard, Named]] = []
            for shard in _one_ahead(
                shards(images.items, folder, together=images_together([contract])),
                lambda shard: talk.ask({"frames": device.push(shard.frames)}),
            ):
                named.append((shard, talk.hear(parse_named, timeout_s=START_TIMEOUT_S)))
                shard.frames.unlink()
                if progress:
                    progress(sum(len(each.items) for each, _ in named), len(images.items))
    return predictions(path, loaded, named, images=images, device=device.name)


def images_together(contracts: Iterable[Contract]) -> int:
    """What the images of a shard are a multiple of, so that no run is cut otherwise than here."""
    batches = (contract.inputs[0].batch for contract in contracts)
    return math.lcm(*(batch or TOGETHER for batch in batches))


def shards(items: Sequence[LabelledImage], folder: Path, *, together: int) -> Iterator[Shard]:
    """Frames of images in files of 64 MB or so, a multiple of `together` images in each.

    Files lie in `folder` until they are deleted. Raises DataError for an unreadable image.
    """
    frames: list[Image] = []
    size_bytes, start = 0, 0
    for end, item in enumerate(items, start=1):
        frames.append(read_image(item.path))
        size_bytes += frames[-1].nbytes
        if end == len(items) or (size_bytes >= SHARD_BYTES and len(frames) % together == 0):
            target = folder / f"frames_{start}.npz"
            write_frames(target, frames)
            yield Shard(tuple(items[start:end]), target)
            frames, size_bytes, start = [], 0, end


def predictions(
    path: Path,
    loaded: Loaded,
    named: Sequence[tuple[Shard, Named]],
    *,
    images: LabelledImages,
    device: str,
) -> Predictions:
    """What a file answered to all shards, in their order; DeviceError, DataError where it cannot
    have.
    """
    if loaded.sha256 != model_sha256(path):
        raise DeviceError(f"{path}: {device} ran another file", hint="run it again")
    classes = {each.classes for _, each in named}
    if len(classes) != 1 or any(len(each.score) != len(shard.items) for shard, each in named):
        raise DeviceError(
            f"{path}: {device} named the classes of other frames than it was sent",
            hint="is the edgecnn there of the same version?",
        )
    check_classes(images, max(classes))
    return Predictions(
        file=str(path),
        engine=loaded.engine,
        precision=loaded.precision,
        classes=max(classes),
        labels=np.array([item.class_index for item in images.items], dtype=np.int64),
        top=np.concatenate([each.top for _, each in named]),
        score=np.concatenate([each.score for _, each in named]),
        device=device,
    )


def parse_loaded(answer: Mapping[str, Any]) -> Loaded:
    """What a device says it has loaded; KeyError, TypeError or ValueError for anything else."""
    said = answer["ready"]
    return Loaded(
        sha256=str(said["sha256"]),
        engine=str(said["engine"])[:_MAX_TEXT],
        facts={str(key): str(value)[:_MAX_TEXT] for key, value in said["facts"].items()},
        precision=str(said["precision"])[:_MAX_TEXT],
        emulated=None if said["emulated"] is None else str(said["emulated"])[:_MAX_TEXT],
    )


def parse_named(answer: Mapping[str, Any]) -> Named:
    """Classes by frame; KeyError, TypeError or ValueError for what cannot be."""
    classes = int(answer["classes"])
    top = np.array(answer["top"])
    score = np.array(answer["score"], dtype=np.float64)
    if top.dtype.kind != "i" or top.shape != (len(score), min(TOP, classes)):
        raise ValueError(f"{top.dtype} {top.shape} for {classes} classes")
    if not ((top >= 0) & (top < classes)).all() or not ((score >= 0) & (score <= _SURE)).all():
        raise ValueError("a class or a probability that there is not")
    return Named(classes, top.astype(np.int64), score)


def _verb(device: Device, subject: Subject, folder: Path) -> list[str]:
    beside = folder / "contract.json"
    beside.write_text(to_json(subject.contract), encoding="utf-8")
    words = ["classes", device.push(subject.path), "--engine", subject.engine]
    words += ["--contract", device.push(beside)]
    return words if subject.threads is None else [*words, "--threads", str(subject.threads)]


def _one_ahead(found: Iterable[Shard], send: Callable[[Shard], None]) -> Iterator[Shard]:
    """Each shard is sent while the device still works on the one before it."""
    sent: deque[Shard] = deque()
    for shard in found:
        send(shard)
        sent.append(shard)
        if len(sent) > 1:
            yield sent.popleft()
    yield from sent
