"""Whether a network gets its values on the scale that it was trained with.

Given values of another scale, a network sees one thing in all images, or is absurdly sure of each.
So where it is one or the other, the same images are prepared in the usual ways, and it is asked
again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Preprocess
from edgecnn.runtime.preprocess import Tensor

Answers = Sequence[NDArray[np.float64]]

SCALING_IMAGES = 32
_TELLS_ENOUGH = 0.6  # of what that many images, or classes, could tell at most
_TIMES, _MORE_NATS = 1.5, 0.7  # what another preparation must tell to be believed
_ABSURD_NATS = 50.0  # trained networks lead by 1 to 20
_PLAUSIBLE_SHARE = 0.5  # of what an absurdly sure network seems to tell

# (pixel * scale - mean) / std: pixels as they are, 0 to 1, -1 to 1, and ImageNet's statistics.
_USUAL = (
    (1.0, (0.0,) * 3, (1.0,) * 3),
    (1 / 255, (0.0,) * 3, (1.0,) * 3),
    (1 / 127.5, (1.0,) * 3, (1.0,) * 3),
    (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
)


@dataclass(frozen=True, slots=True)
class Impression:
    """What a network says to images that were prepared in one way.

    `told_nats` is the information that the class gives about the image: the entropy of the mean
    answer less the mean entropy of the answers. `lead_nats` is by how much the best class leads.
    """

    told_nats: float
    lead_nats: float

    @property
    def kinds(self) -> float:
        """How many kinds of images it tells apart."""
        return math.exp(self.told_nats)

    @property
    def is_absurd(self) -> bool:
        """Whether no trained network is so sure."""
        return self.lead_nats > _ABSURD_NATS


@dataclass(frozen=True, slots=True)
class Scaling:
    """`images` prepared as the contract says, and in the usual way that suits the network better.

    `spec` is that way.
    """

    images: int
    as_is: Impression
    rival: Impression
    spec: Preprocess


def impression(answers: Answers) -> Impression:
    """Of the probabilities (classes,) that a network gives to some images."""
    rows = np.stack(answers)
    best = np.sort(rows, axis=1)[:, -2:]
    leads = np.log(np.maximum(best[:, 1], 1e-300)) - np.log(np.maximum(best[:, 0], 1e-300))
    told = _entropy(rows.mean(axis=0)) - _entropy(rows).mean()
    return Impression(float(max(told, 0.0)), float(leads.mean()))


def looks_wrong(seen: Impression, answers: Answers) -> bool:
    """Whether other ways of preparing the images are worth a try."""
    most_nats = math.log(max(min(len(answers), answers[0].size), 2))
    return seen.is_absurd or seen.told_nats < _TELLS_ENOUGH * most_nats


def suits_better(rival: Impression, as_is: Impression) -> bool:
    """Whether another way of preparing the images is evidently the right one."""
    if rival.is_absurd:
        return False
    if as_is.is_absurd:
        return rival.told_nats >= _PLAUSIBLE_SHARE * as_is.told_nats
    return rival.told_nats >= max(_TIMES * as_is.told_nats, as_is.told_nats + _MORE_NATS)


def usual_ways(spec: Preprocess) -> Iterator[Preprocess]:
    """The preprocessing with the usual scales, its own left out; of grey ones those for grey."""
    for scale, mean, std in _USUAL:
        if spec.channels == 3 or len(set(mean)) == 1:
            other = replace(spec, scale=scale, mean=mean[: spec.channels], std=std[: spec.channels])
            if other != spec:
                yield other


def rescaled(tensor: Tensor, spec: Preprocess, other: Preprocess) -> Tensor:
    """A batch that was prepared by `spec` as `other` would have prepared it."""
    shape = (-1, 1, 1) if spec.layout == "NCHW" else (-1,)
    mean, std = (np.reshape(np.array(part, np.float64), shape) for part in (spec.mean, spec.std))
    pixels = (tensor * std + mean) / spec.scale
    mean, std = (np.reshape(np.array(part, np.float64), shape) for part in (other.mean, other.std))
    return np.ascontiguousarray((pixels * other.scale - mean) / std, dtype=np.float32)


def _entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    safe = np.maximum(probabilities, 1e-12)
    return -np.asarray((probabilities * np.log(safe)).sum(axis=-1))
