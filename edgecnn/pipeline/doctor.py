"""The calibration doctor: looks at a calibration set before anything is learnt from it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet, Survey, survey
from edgecnn.datasets.duplicates import ALIKE, NEAR, leaders, near_any
from edgecnn.errors import DataError, EdgecnnError
from edgecnn.graph.convergence import Convergence, convergence
from edgecnn.pipeline.calibration import survey_calibration
from edgecnn.pipeline.contracts import ContractOptions, float_contract
from edgecnn.pipeline.frames import Frames
from edgecnn.pipeline.narrator import Narrator, Progress, Silent
from edgecnn.pipeline.watch import Seen, look_through

MAX_SEEN_IMAGES = 320  # that the network is asked about
_DARK, _BRIGHT, _FLAT = 30.0, 225.0, 8.0  # of 255


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness and contrast (mean and deviation of grey, 0 to 255): medians, and outliers.

    `noise` names the images in which no pixel knows anything of its neighbours.
    """

    brightness: float
    contrast: float
    dark: tuple[str, ...]
    bright: tuple[str, ...]
    flat: tuple[str, ...]
    noise: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many calibration images lie in an evaluation set too, as they are or nearly so."""

    against: str
    images: int
    exact: int
    near: int
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checkup:
    """All that was found out about a set; None is what was not asked for.

    `scenes` is how many different layouts there are (dHash), `problem` why nothing can be learnt.
    """

    name: str
    images: int
    sha256: str
    unreadable: tuple[str, ...]
    near_duplicates: tuple[str, ...]
    scenes: int
    light: Light | None
    is_random: bool = False
    overlap: Overlap | None = None
    seen: Seen | None = None
    convergence: Convergence | None = None
    problem: DataError | None = None


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to look at a set with: a float file, an evaluation set."""

    model: Path | None = None
    against: Path | None = None
    limit: int | None = None
    seed: int = 0
    contract: ContractOptions = field(default_factory=ContractOptions)


def check_calibration(
    word: str, *, options: CheckOptions | None = None, narrator: Narrator | None = None
) -> Checkup:
    """Look at a calibration set from all sides; a hopeless one has a `problem`.

    Raises DataError or RecipeError where there is nothing to look at, and what reading the model
    raises.
    """
    options, narrator = options or CheckOptions(), narrator or Silent()
    contract = float_contract(options.model, options.contract) if options.model else None
    with narrator.progress("images") as progress:
        found, problem = survey_calibration(
            word, limit=options.limit, seed=options.seed, progress=progress
        )
    seen = converged = None
    if options.model and contract and not problem and not found.images.is_random:
        sample = found.images.sample(MAX_SEEN_IMAGES, seed=options.seed)
        frames = Frames(sample, contract, keep_bytes=0)
        with narrator.progress("network") as progress:
            seen = look_through(options.model, contract, (frames,), progress)
        with narrator.progress("ranges") as progress:
            halves = found.images.split(0.5, seed=options.seed)
            converged = _convergence(options.model, contract, halves, progress)
    return checkup(
        found,
        problem=problem,
        overlap=find_overlap(found.images, options.against, narrator),
        seen=seen,
        converged=converged,
    )


def short_checkup(
    images: CalibrationSet,
    model: Path,
    parts: Sequence[Frames],
    *,
    against: Path | None = None,
    narrator: Narrator,
) -> Checkup:
    """What a good set is asked before every quantization; `parts` are all its images.

    A network that does not run is left to the quantizer, which knows better what is wrong with it.
    """
    contract = parts[0].contract
    looked_at = parts
    if images.count > MAX_SEEN_IMAGES:
        looked_at = (Frames(images.sample(MAX_SEEN_IMAGES), contract, keep_bytes=0),)
    seen = None
    with narrator.progress("calibration") as progress, contextlib.suppress(EdgecnnError):
        seen = None if images.is_random else look_through(model, contract, looked_at, progress)
    overlap = find_overlap(images, against, narrator)
    return checkup(Survey(images, ()), overlap=overlap, seen=seen)


def checkup(
    found: Survey,
    *,
    problem: DataError | None = None,
    overlap: Overlap | None = None,
    seen: Seen | None = None,
    converged: Convergence | None = None,
) -> Checkup:
    """Put together what was found out."""
    images = found.images
    return Checkup(
        name=images.name,
        images=images.count,
        sha256=images.sha256,
        unreadable=tuple(str(error) for error in found.unreadable),
        near_duplicates=_near_duplicates(images),
        scenes=len(leaders(images.fingerprints, within=ALIKE)),
        light=_light(images),
        is_random=images.is_random,
        overlap=overlap,
        seen=seen,
        convergence=converged,
        problem=problem,
    )


def _near_duplicates(images: CalibrationSet) -> tuple[str, ...]:
    if images.is_random:
        return ()
    first = leaders(images.fingerprints, within=NEAR)
    return _labels(images, np.setdiff1d(np.arange(images.count), first))


def _labels(images: CalibrationSet, places: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(images.source.label(images.members[place]) for place in places)


def _light(images: CalibrationSet) -> Light | None:
    brightness = np.array([look.brightness for look in images.looks])
    contrast = np.array([look.contrast for look in images.looks])
    if not images.looks or np.isnan(brightness).any():  # sounds have none
        return None
    return Light(
        brightness=float(np.median(brightness)),
        contrast=float(np.median(contrast)),
        dark=_labels(images, np.flatnonzero(brightness < _DARK)),
        bright=_labels(images, np.flatnonzero(brightness > _BRIGHT)),
        flat=_labels(images, np.flatnonzero(contrast < _FLAT)),
        noise=_labels(images, np.array(images.noise, np.intp)),
    )


def find_overlap(
    images: CalibrationSet, against: Path | None, narrator: Narrator
) -> Overlap | None:
    """Which images of a set are in an evaluation set; None without one."""
    if against is None:
        return None
    with narrator.progress("overlap") as progress:
        others = survey(against, progress=progress).images
    digests = set(others.digests)
    exact = np.array([look.digest in digests for look in images.looks], np.bool_)
    near = near_any(images.fingerprints, others.fingerprints)
    return Overlap(
        against=str(against),
        images=others.count,
        exact=int(exact.sum()),
        near=int((near & ~exact).sum()),
        shared=_labels(images, np.flatnonzero(exact | near)),
    )


def _convergence(
    model: Path,
    contract: Contract,
    parts: tuple[CalibrationSet, CalibrationSet],
    progress: Progress,
) -> Convergence:
    first, second = (Frames(part, contract, keep_bytes=0) for part in parts)
    total, done = first.count + second.count, 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return convergence(model, (first.tensors(), second.tensors()), progress=tick)
