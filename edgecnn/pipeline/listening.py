"""What a network that learns sounds listens to, and what it is given."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgecnn.contract import Preprocess
from edgecnn.datasets.classified import named_files
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.sounds import is_sound_file, rate_of
from edgecnn.errors import DataError, UsageError
from edgecnn.melspectrogram import MelSpectrogram, default_melspectrogram
from edgecnn.pipeline.sources import identity_of, is_checkpoint
from edgecnn.pipeline.train_options import TrainOptions
from edgecnn.runtime.preprocess import Given

DEFAULT_SECONDS = 1.0


def prepared(own: Preprocess, options: TrainOptions) -> Preprocess:
    """A network's own preprocessing, for the data and of the size that were said.

    The picture of a sound is stretched to the network's size. Raises DataError where there is no
    data or no sound of it can be read, UsageError for `seconds` of photos.
    """
    size = own.size if options.size is None else options.size
    listens = own.melspectrogram
    if options.seconds is not None and listens is not None:
        raise UsageError(
            f"--seconds {options.seconds:g}: the network listens to {listens.seconds:g} s already",
            hint="leave it out",
        )
    listens = listens or _listening(options)
    if listens is None and options.size is None:
        return own
    return dataclasses.replace(
        own, size=size, resize=None, crop_fraction=None, melspectrogram=listens
    )


def own_preprocess(model: str, weights: str | None) -> Preprocess:
    """That of a network of the zoo, or of the checkpoint of ours that it starts from.

    Raises UsageError or WeightsError.
    """
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.checkpoint import read_checkpoint

    if is_checkpoint(model):
        return identity_of(model).preprocess
    spec = find(model)
    start = read_checkpoint(Path(weights or "")).identity if is_checkpoint(weights or "") else None
    return start.preprocess if start else spec.preprocess


def kind_of(spec: Preprocess) -> str:
    """What a network is given, in a word."""
    return "photos" if spec.melspectrogram is None else "sounds"


def heard(listens: MelSpectrogram) -> str:
    """What a network listens to, for people."""
    return (
        f"{listens.seconds:g} s at {listens.rate_hz:,} Hz, as a picture of {listens.bands} bands "
        f"x {listens.columns} moments"
    )


def reader(spec: Preprocess) -> Callable[[Path], Given] | None:
    """What says of a sound whether it can be listened to; photos are looked at in any case."""
    return partial(read_input, spec=spec) if spec.melspectrogram is not None else None


def _listening(options: TrainOptions) -> MelSpectrogram | None:
    """At the rate of most sounds, None where the data are photos."""
    paths = [path for path, _ in named_files(options.data)]
    sounds = [path for path in paths if is_sound_file(path)]
    if 2 * len(sounds) <= len(paths):
        if options.seconds is not None:
            raise UsageError(
                f"{options.data}: holds photos; --seconds is for sounds", hint="leave it out"
            )
        return None
    rates = Counter(rate for path in sounds if (rate := rate_of(path)) is not None)
    if not rates:
        raise DataError(
            f"{options.data}: none of {len(sounds)} sounds can be read", hint="WAV files of PCM"
        )
    ((rate_hz, _),) = rates.most_common(1)
    seconds = DEFAULT_SECONDS if options.seconds is None else options.seconds
    return default_melspectrogram(rate_hz, seconds)
