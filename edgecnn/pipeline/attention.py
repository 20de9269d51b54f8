"""Where files look in a photo: heat over the picture, file beside file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.contract import Contract
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.sheets import contact_sheet, save_picture
from edgecnn.errors import UsageError
from edgecnn.graph.attention import Attention, Looker, likeness
from edgecnn.pipeline.contracts import ContractOptions, check_same_classes, contract_of
from edgecnn.pipeline.export import check_target
from edgecnn.runtime.preprocess import Image, preprocess, resized, settled
from edgecnn.runtime.results import probabilities

_LEAST_SIDE = 224  # pixels, that a person sees something
# Black over red and yellow to white, as glowing metal.
_GLOW = np.array([[0, 0, 0], [130, 0, 40], [230, 80, 0], [255, 190, 30], [255, 255, 220]])
_CLEAREST = 0.65


@dataclass(frozen=True, slots=True)
class Look:
    """Where one file looks: its answer, how sure it is, and the picture with heat."""

    file: Path
    label: str
    probability: float
    attention: Attention
    picture: Image


@dataclass(frozen=True, slots=True)
class Sight:
    """A photo through several files, all asked for the class that the first one answers.

    `likeness` are correlations of the later heats with the first, -1 to 1.
    """

    image: Path
    asked: str
    looks: tuple[Look, ...]
    likeness: tuple[float, ...]

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        return {
            "format": 1,
            "image": str(self.image),
            "asked": self.asked,
            "files": [
                {"file": str(look.file), "answer": look.label, "probability": look.probability}
                for look in self.looks
            ],
            "likeness": [round(value, 4) for value in self.likeness],
        }


def look_at(
    files: Sequence[Path],
    image: Path,
    *,
    output: Path,
    contract: ContractOptions | None = None,
    force: bool = False,
) -> Sight:
    """Write a PNG: the photo as the network sees it, then the heat of each file over it.

    Raises GraphError for a file without maps, UsageError for one that does not classify.
    """
    if output.suffix.lower() != ".png":
        raise UsageError(f"{output}: the picture is a PNG", hint="-o FILE.png")
    check_target(output, force=force, source=image)
    contracts = {file: contract_of(file, contract or ContractOptions()) for file in files}
    for file, described in contracts.items():
        _check(file, described)
    check_same_classes(contracts)
    looks: list[Look] = []
    seen: Image | None = None
    for file, described in contracts.items():
        spec = described.preprocess
        pixels = resized(read_input(image, spec), spec)
        seen = pixels if seen is None else seen
        asked = None if not looks else int(looks[0].attention.logits.argmax())
        looks.append(_look(file, described, pixels, asked))
    assert seen is not None
    pictures = [_readable(picture) for picture in (seen, *(look.picture for look in looks))]
    save_picture(contact_sheet([pictures], side=max(pictures[0].shape)), output)
    first = looks[0]
    return Sight(
        image=image,
        asked=first.label,
        looks=tuple(looks),
        likeness=tuple(_likeness(first.attention, each.attention) for each in looks[1:]),
    )


def _likeness(first: Attention, other: Attention) -> float:
    """The correlation of two heats; that of a file with other maps is drawn on the first's."""
    return likeness(first.heat, _enlarged(other.heat, first.heat.shape))


def _check(file: Path, contract: Contract) -> None:
    if contract.task != "classification":
        raise UsageError(
            f"{file}: is for {contract.task}; attention is to a class", hint="give a classifier"
        )


def _look(file: Path, contract: Contract, pixels: Image, asked: int | None) -> Look:
    attention = Looker(file).look(preprocess(pixels, settled(contract.preprocess)), asked)
    best = int(attention.logits.argmax())
    return Look(
        file=file,
        label=contract.label(best),
        probability=float(probabilities(attention.logits[None])[0, best]),
        attention=attention,
        picture=_glowing(pixels, attention),
    )


def _glowing(pixels: Image, attention: Attention) -> Image:
    """The photo, darkened, with the heat on it."""
    heat = _enlarged(attention.heat, pixels.shape[:2])
    place = heat * (len(_GLOW) - 1)
    low = np.minimum(place.astype(int), len(_GLOW) - 2)
    share = (place - low)[:, :, None]
    glow = _GLOW[low] * (1 - share) + _GLOW[low + 1] * share
    cover = _CLEAREST * heat[:, :, None]
    mixed = 0.6 * pixels * (1 - cover) + glow * cover
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _readable(picture: Image) -> Image:
    """A small picture with each pixel repeated."""
    times = -(-_LEAST_SIDE // max(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _enlarged(heat: np.ndarray[Any, Any], size: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Bilinear, the centres of the corner cells half a cell inside, clamped to 0..1."""
    for axis, side in enumerate(size):
        cells = heat.shape[axis]
        at = np.clip((np.arange(side) + 0.5) * cells / side - 0.5, 0, cells - 1)
        low = np.minimum(at.astype(int), max(cells - 2, 0))
        share = (at - low).reshape([-1 if axis == at_axis else 1 for at_axis in range(2)])
        high = np.minimum(low + 1, cells - 1)
        heat = heat.take(low, axis) * (1 - share) + heat.take(high, axis) * share
    return np.asarray(np.clip(heat, 0, 1))
