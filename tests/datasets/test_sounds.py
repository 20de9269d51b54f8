"""WAV files as samples, whatever the width of these, and what is wrong with others."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Preprocess
from edgecnn.datasets.classified import open_classified
from edgecnn.datasets.images import image_paths
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.looks import Files
from edgecnn.datasets.sounds import rate_of, read_sound, write_sound
from edgecnn.datasets.tones import CLASSES, draw_tone, write_tones
from edgecnn.errors import DataError
from edgecnn.melspectrogram import MelSpectrogram
from edgecnn.runtime.spectrogram import melspectrogram
from tests.photos import write_photos

LISTENS = MelSpectrogram(
    rate_hz=8000, samples=800, window=256, hop=80, bands=16, low_hz=50, high_hz=4000
)
SPEC = Preprocess(size=(16, 7), melspectrogram=LISTENS)


def written(
    path: Path, data: bytes, *, width: int = 2, channels: int = 1, rate: int = 8000
) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


@pytest.mark.parametrize(
    ("width", "data", "expected"),
    [
        (1, bytes([0, 128, 255]), [-1, 0, 127 / 128]),
        (2, np.array([-32768, 0, 16384], "<i2").tobytes(), [-1, 0, 0.5]),
        (3, b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40", [-1, 0, 0.5]),
        (4, np.array([-(2**31), 0, 2**30], "<i4").tobytes(), [-1, 0, 0.5]),
    ],
)
def test_samples_of_any_width_run_from_minus_one_to_one(
    tmp_path: Path, width: int, data: bytes, expected: list[float]
) -> None:
    sound = read_sound(written(tmp_path / "a.wav", data, width=width, rate=22_050))
    assert sound.dtype == np.float32
    assert sound.rate_hz == rate_of(tmp_path / "a.wav") == 22_050
    assert sound.tolist() == expected


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    sound = draw_tone("rising", 3, seconds=0.1, rate_hz=8000, seed=1)
    write_sound(tmp_path / "a.wav", sound, 8000)
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav"), sound, atol=0.5 / 32768)
    write_sound(tmp_path / "b.wav", np.array([-2, 2], np.float32), 8000)
    assert read_sound(tmp_path / "b.wav").tolist() == [-1, 32767 / 32768]


def test_what_is_no_sound_of_one_channel_is_told(tmp_path: Path) -> None:
    stereo = written(tmp_path / "stereo.wav", bytes(80), channels=2)
    whole = written(tmp_path / "whole.wav", bytes(200)).read_bytes()
    for name, data in (("cut", whole[:-50]), ("head", whole[:20]), ("none", b""), ("text", b"hi")):
        (tmp_path / f"{name}.wav").write_bytes(data)
    (tmp_path / "float.wav").write_bytes(whole[:20] + b"\x03\x00" + whole[22:])
    written(tmp_path / "empty.wav", b"")
    for path, told in (
        (stereo, "stereo.wav: 2 channels; one is listened to"),
        (tmp_path / "cut.wav", "cut.wav: the file is cut off"),
        (tmp_path / "head.wav", "head.wav: not a WAV file of PCM"),
        (tmp_path / "none.wav", "none.wav: not a WAV file of PCM"),
        (tmp_path / "text.wav", "text.wav: not a WAV file of PCM"),
        (tmp_path / "float.wav", "float.wav: not a WAV file of PCM"),
        (tmp_path / "empty.wav", "empty.wav: holds no samples"),
        (tmp_path / "gone.wav", "gone.wav: No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(DataError, match=told):
            read_sound(path)
    assert rate_of(tmp_path / "text.wav") is None


def test_a_file_that_the_network_cannot_take_is_named(tmp_path: Path) -> None:
    fast = written(tmp_path / "fast.wav", bytes(3200), rate=16_000)
    short = written(tmp_path / "short.wav", bytes(1000))
    (photo,) = image_paths(write_photos(tmp_path / "photos", (1, 0, 0)))
    for path, spec, told in (
        (fast, SPEC, "fast.wav: a sound of 16000 samples a second; 8000"),
        (short, SPEC, r"short.wav: a sound of 0.0625 s is too short; 0.1 s"),
        (photo, SPEC, r"0.png: no sound; the network listens"),
        (short, replace(SPEC, melspectrogram=None), "short.wav: a sound; the network looks"),
    ):
        with pytest.raises(DataError, match=told):
            read_input(path, spec)


def test_folders_of_sounds_are_found_and_only_copies_are_alike(tmp_path: Path) -> None:
    folder = tmp_path / "tones"
    assert write_tones(folder, each=3, seconds=0.1, rate_hz=8000) == 3 * len(CLASSES)
    copied = (folder / "falling" / "000.wav").read_bytes()
    (folder / "falling" / "copy.wav").write_bytes(copied)
    (folder / "noise" / "000.wav").write_bytes(b"broken")
    found = open_classified(folder, check=lambda path: read_input(path, SPEC))
    assert found.labels == tuple(sorted(CLASSES))
    assert found.counts.tolist() == [4, 2, 3, 3]
    assert "000.wav: not a WAV file" in str(found.broken[0])
    prints = [look.fingerprint for look in found.looks]
    assert len(set(prints)) == len(prints) - 1
    assert not any(look.is_noise for look in found.looks)
    source = Files(image_paths(folder / "steady"))
    assert (source.read(0) == read_sound(folder / "steady" / "000.wav")).all()


def test_tones_are_what_they_are_called() -> None:
    def loud(kind: str, index: int) -> list[int]:
        """The brightest band at three moments."""
        sound = draw_tone(kind, index, seconds=1, rate_hz=8000, seed=0)
        spec = replace(LISTENS, samples=8000, window=512, bands=48)
        shades = melspectrogram(sound, spec)[:, :, 0].astype(int)
        columns = shades[:, [18, 45, 75]]
        return [int(column.argmax()) for column in columns.T]

    for index in range(8):
        steady, rising, falling = (loud(kind, index) for kind in ("steady", "rising", "falling"))
        assert max(steady) - min(steady) <= 1
        assert rising[0] - rising[2] >= 2  # rows count from the top
        assert falling[2] - falling[0] >= 2
    one, other = (draw_tone("noise", index, seconds=1, rate_hz=8000, seed=0) for index in (0, 1))
    assert not np.array_equal(one, other)
