"""A contact sheet of what training would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecnn.datasets.classified import Classified, open_classified
from edgecnn.datasets.sheets import contact_sheet, save_picture
from edgecnn.pipeline.export import check_target
from edgecnn.pipeline.listening import own_preprocess, prepared, reader
from edgecnn.pipeline.train_options import TrainOptions

_CLASSES, _VIEWS = 8, 7


def show_augmented(
    model: str, *, options: TrainOptions, target: Path, force: bool = False
) -> tuple[str, int]:
    """Write a contact sheet: a photo a row, as the network sees it in use and in training.

    Returns the name of the set of random changes, and the number of photos on the sheet.
    """
    from edgecnn.training.augmentation import AUGMENTATIONS, choose_augmentation
    from edgecnn.training.loading import Photos

    check_target(target, force=force)
    spec = prepared(own_preprocess(model, options.weights), options)
    photos = open_classified(options.data, classes=options.classes, check=reader(spec))
    name = options.augment or choose_augmentation(photos.labels, spec)
    plain = Photos(photos.paths, spec)
    views = Photos(photos.paths, spec, augmentation=AUGMENTATIONS[name])
    rows = [
        [plain.view(place), *(views.view(place, (options.seed, draw)) for draw in range(_VIEWS))]
        for place in _one_a_class(photos)
    ]
    save_picture(contact_sheet(rows), target)
    return name, len(rows)


def _one_a_class(photos: Classified) -> Iterator[int]:
    """The first photo of each of the first classes."""
    for index in range(min(_CLASSES, len(photos.labels))):
        yield int(np.flatnonzero(photos.classes == index)[0])
