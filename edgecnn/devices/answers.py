"""What a file answers on a device."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.devices.device import Device
from edgecnn.devices.worker import their_error
from edgecnn.errors import ContractError, DeviceError
from edgecnn.onnxfile import model_sha256, read_contract
from edgecnn.runtime.golden import Verification, golden_image, verify
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.worker import write_frames

_TIMEOUT_S = 1800.0  # an engine may have to be built first, and a board may be slow


@dataclass(frozen=True, slots=True)
class Answers:
    """One row of values a frame, float32 (frames, values), and the facts of their engine."""

    values: NDArray[np.float32]
    engine: Mapping[str, str]
    emulated: str | None


def answers_on(
    device: Device,
    file: Path,
    images: Sequence[Image],
    *,
    engine: str = "onnxruntime",
    threads: int | None = None,
) -> Answers:
    """Run a file on a device on uint8 (H, W, 3) RGB images.

    Raises the device's own EdgecnnError where it cannot, DeviceError for answers that are none.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        frames = Path(folder) / "frames.npz"
        write_frames(frames, images)
        verb = ["answers", device.push(file), "--inputs", device.push(frames), "--engine", engine]
        if threads is not None:
            verb += ["--threads", str(threads)]
        line = _said(device, verb, file)
    return _answers(device, file, line, count=len(images))


def _said(device: Device, verb: Sequence[str], file: Path) -> str:
    process = device.start(verb)
    try:
        line = process.read_line(timeout_s=_TIMEOUT_S)
        if not line:
            raise DeviceError(
                f"{file}: {device.name} gave no answers: {process.last_words()}",
                hint="is there memory enough?",
            )
    finally:
        process.close(patiently=False)
    return line


def verify_on(device: Device, file: Path, *, engine: str, threads: int | None) -> _Verified:
    """The golden check of a file's contract on a device; raises ContractError without one."""
    contract = read_contract(file)
    golden = contract.golden
    if golden is None:
        raise ContractError(
            f"{file}: its contract holds no golden check",
            hint="make one: edgecnn export FILE.onnx --size 224 -o NEW.onnx",
        )
    image = golden_image(golden)
    found = answers_on(device, file, [image], engine=engine, threads=threads)
    verified = verify(golden, lambda _: found.values[0], same_best=contract.names_one)
    return verified, found.engine


_Verified = tuple[Verification, Mapping[str, str]]


def _answers(device: Device, file: Path, line: str, *, count: int) -> Answers:
    try:
        said = json.loads(line)
        if "error" in said:
            raise their_error(said["error"], str(file))
        values = np.array(said["answers"], dtype=np.float32)
        engine = {str(key): str(value)[:200] for key, value in said["engine"].items()}
        emulated = None if said["emulated"] is None else str(said["emulated"])
        sha256 = said["sha256"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DeviceError(
            f"{file}: {device.name} answered what nobody can read: {line[:80]!r}",
            hint="is its memory sound?",
        ) from error
    if values.ndim != 2 or len(values) != count or not np.isfinite(values).all():
        raise DeviceError(
            f"{file}: {device.name} gave {values.shape} answers to {count} images",
            hint="a finite row for each is expected",
        )
    if sha256 != model_sha256(file):
        raise DeviceError(f"{file}: {device.name} ran another file", hint="run it again")
    return Answers(values, engine, emulated)
