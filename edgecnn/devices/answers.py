"""What a file answers on a device."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.devices.conversation import START_TIMEOUT_S, Conversation
from edgecnn.devices.device import Device
from edgecnn.errors import ContractError, DeviceError
from edgecnn.onnxfile import model_sha256, read_contract
from edgecnn.runtime.golden import Verification, golden_image, verify
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.worker import write_frames


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
        with Conversation(device, verb, file=str(file)) as talk:
            found, sha256 = talk.hear(_parsed, timeout_s=START_TIMEOUT_S)
    values = found.values
    if values.ndim != 2 or len(values) != len(images) or not np.isfinite(values).all():
        raise DeviceError(
            f"{file}: {device.name} gave {values.shape} answers to {len(images)} images",
            hint="a finite row for each is expected",
        )
    if sha256 != model_sha256(file):
        raise DeviceError(f"{file}: {device.name} ran another file", hint="run it again")
    return found


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


def _parsed(said: Mapping[str, Any]) -> tuple[Answers, str]:
    values = np.array(said["answers"], dtype=np.float32)
    engine = {str(key): str(value)[:200] for key, value in said["engine"].items()}
    emulated = None if said["emulated"] is None else str(said["emulated"])
    return Answers(values, engine, emulated), str(said["sha256"])
