"""Files as a network is given them: photos where it looks, sounds where it listens."""

from __future__ import annotations

from pathlib import Path

from edgecnn.contract import Preprocess
from edgecnn.datasets.images import read_image
from edgecnn.datasets.sounds import is_sound_file, read_sound
from edgecnn.errors import DataError
from edgecnn.runtime.preprocess import Given
from edgecnn.runtime.spectrogram import clip, is_sound


def read_any(path: Path) -> Given:
    """A photo, uint8 (height, width, 3), or a sound, float32 (samples,); raises DataError."""
    return read_sound(path) if is_sound_file(path) else read_image(path)


def read_input(path: Path, spec: Preprocess) -> Given:
    """As `read_any`; raises DataError for what `spec` does not take, too."""
    return fitting(read_any(path), spec, str(path))


def fitting(given: Given, spec: Preprocess, name: str) -> Given:
    """What is given, if `spec` takes it; `name` is what it is called in errors.

    Raises DataError for a photo where sounds are listened to and the other way round, for another
    rate and for a sound that is too short.
    """
    if spec.melspectrogram is None:
        if is_sound(given):
            raise DataError(f"{name}: a sound; the network looks at photos", hint="give it photos")
        return given
    if not is_sound(given):
        raise DataError(f"{name}: no sound; the network listens", hint="give it WAV files")
    try:
        clip(given, spec.melspectrogram)
    except DataError as error:
        raise DataError(f"{name}: {error}", hint=error.hint) from error
    return given
