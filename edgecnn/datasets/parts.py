"""Photos in three parts that share no scene: to train with, to watch training by, to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from edgecnn.datasets.classified import Classified
from edgecnn.datasets.duplicates import ALIKE, NEAR, kindred
from edgecnn.datasets.looks import Look
from edgecnn.errors import DataError, UsageError

Places = NDArray[np.intp]

# Small drawings look so alike to a hash that all of them would hang together.
_LARGEST_GROUP = 0.1
_LEAST_GROUP = 8
_WATCHED = 0.15


@dataclass(frozen=True, slots=True)
class Parts:
    """Places of photos, each in order; `watched` may be empty where photos are few.

    `bound` counts the photos that are a duplicate or of a burst, and so follow another one.
    """

    train: Places
    watched: Places
    held_out: Places
    bound: int


def split_parts(photos: Classified, *, held_out: float, seed: int) -> Parts:
    """Split by chance, class by class, with duplicates and bursts on one side.

    `held_out` is the share (0 to below 1) that only judges; of the rest 15 % watch the training,
    where a class has enough. Raises UsageError for another share, DataError where a class has too
    few different photos to be judged and trained with.
    """
    if not 0 < held_out < 1:
        raise UsageError(f"held out {held_out} cannot be", hint="a share above 0 and below 1")
    groups = _groups(photos.looks)
    random = Generator(PCG64(SeedSequence(seed)))
    part = np.zeros(len(groups), np.int8)
    for index, label in enumerate(photos.labels):
        members = _led_by(groups, photos.classes, index)
        if len(members) < 2:
            raise DataError(
                f"{label}: {len(members) or 'no'} photo that is no duplicate of others; two are "
                "the least, one to train with and one to judge by",
                hint="add photos of other scenes",
            )
        order = [members[place] for place in random.permutation(len(members))]
        judged = _take(order, held_out)
        left = [group for place, group in enumerate(order) if place not in judged]
        watched = _take(left, _WATCHED, least=0)
        for chosen, number in ((_joined(order, judged), 2), (_joined(left, watched), 1)):
            part[chosen] = number
    train, watch, judge = (np.flatnonzero(part == number) for number in range(3))
    return Parts(train, watch, judge, int(np.sum(groups != np.arange(len(groups)))))


def _groups(looks: Sequence[Look]) -> Places:
    """Each photo's first kin; in groups that would bind too many, its first near-duplicate, and
    where these are too many, too, its first copy.
    """
    most = max(_LEAST_GROUP, _LARGEST_GROUP * len(looks))
    groups = _alike(looks)
    for kin in (_near, _copies):
        crowded = np.flatnonzero(np.bincount(groups)[groups] > most)
        groups[crowded] = crowded[kin([looks[int(place)] for place in crowded])]
    return groups


def _alike(looks: Sequence[Look]) -> Places:
    return kindred([look.fingerprint for look in looks], within=ALIKE)


def _near(looks: Sequence[Look]) -> Places:
    return kindred([look.fingerprint for look in looks], within=NEAR)


def _copies(looks: Sequence[Look]) -> Places:
    _, first, places = np.unique(
        [look.digest for look in looks], return_index=True, return_inverse=True
    )
    return np.asarray(first[places])


def _led_by(groups: Places, classes: NDArray[np.int64], index: int) -> list[Places]:
    """The groups whose first photo is of this class: what is labelled twice stays together."""
    leaders = np.flatnonzero((groups == np.arange(len(groups))) & (classes == index))
    return [np.flatnonzero(groups == leader) for leader in leaders]


def _take(groups: Sequence[Places], share: float, *, least: int = 1) -> set[int]:
    """Which groups make up about that share of all photos; one is left at least."""
    wanted = share * sum(len(group) for group in groups)
    taken: set[int] = set()
    count = 0
    for place, group in enumerate(groups):
        fits = count + len(group) / 2 <= wanted
        if (fits or len(taken) < least) and len(taken) < len(groups) - 1:
            taken.add(place)
            count += len(group)
    return taken


def _joined(groups: Sequence[Places], chosen: set[int]) -> Places:
    empty = np.empty(0, np.intp)
    return np.concatenate([empty, *(groups[place] for place in sorted(chosen))])
