"""WAV files as samples, read and written by the standard library."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.files import atomic_path
from edgecnn.runtime.spectrogram import Sound, sounded

EXTENSIONS = frozenset((".wav", ".wave"))

_ADVICE = "replace the file or take it out of the folder"
_CONVERT = "convert it: ffmpeg -i IN -ac 1 -c:a pcm_s16le OUT.wav"


def is_sound_file(path: Path) -> bool:
    """Whether a file's name says that it is a sound."""
    return path.suffix.lower() in EXTENSIONS


def read_sound(path: Path) -> Sound:
    """The samples of a WAV file, float32 (n,) from -1 to 1, with their rate.

    PCM of 8, 16, 24 or 32 bits and one channel. Raises DataError for anything else.
    """
    try:
        with wave.open(str(path), "rb") as file:
            described = file.getparams()
            data = file.readframes(described.nframes)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", hint="check the path") from error
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split()) or "it ends in its header"
        raise DataError(f"{path}: not a WAV file of PCM ({cause:.60})", hint=_CONVERT) from error
    if described.nchannels != 1:
        raise DataError(
            f"{path}: {described.nchannels} channels; one is listened to", hint=_CONVERT
        )
    if not data or len(data) < described.nframes * described.sampwidth:
        what = "cut off" if data else "holds no samples"
        raise DataError(f"{path}: the file is {what}" if data else f"{path}: {what}", hint=_ADVICE)
    if described.framerate < 1:
        raise DataError(f"{path}: has no samples a second", hint=_ADVICE)
    return sounded(_samples(data, described.sampwidth), described.framerate)


def rate_of(path: Path) -> int | None:
    """How many samples of a file make a second, None where it is no sound that can be read."""
    try:
        with wave.open(str(path), "rb") as file:
            return int(file.getframerate())
    except (OSError, wave.Error, EOFError, ValueError, RuntimeError):
        return None


def write_sound(target: Path, samples: NDArray[np.float32], rate_hz: int) -> None:
    """Write samples (n,) from -1 to 1 as 16-bit PCM of one channel; raises FileError."""
    values = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype("<i2")
    with atomic_path(target) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(values.tobytes())


def _samples(data: bytes, width: int) -> NDArray[np.float32]:
    """Little-endian samples of `width` bytes as float32; those of one byte have no sign."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if width != 3:
        full_scale = np.float32(2 ** (8 * width - 1))
        return np.frombuffer(data, f"<i{width}").astype(np.float32) / full_scale
    # Three bytes become the upper three of four.
    wide = np.zeros((len(data) // width, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return _samples(wide.tobytes(), 4)
