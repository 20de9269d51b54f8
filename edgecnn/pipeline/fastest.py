"""The fastest engine of each file that answers rightly, and whether INT8 pays on this device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecnn.contract import Contract
from edgecnn.datasets.natural import natural_images
from edgecnn.onnxfile import model_sha256, read_contract
from edgecnn.runtime import auto
from edgecnn.runtime.model import load
from edgecnn.runtime.race import Ratio

_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Fastest:
    """A file, its contract, and which engine runs it fastest here."""

    path: Path
    contract: Contract
    choice: auto.Choice

    @property
    def is_integer(self) -> bool:
        """Whether the file is INT8, all of it or with FP16 around."""
        return str(self.contract.provenance.get("precision", "fp32")).startswith("int8")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which of two files of one network to take: `ratio` is the INT8 file's time over the other's.

    INT8 is taken only where it surely takes less time.
    """

    integer: Fastest
    plain: Fastest
    ratio: Ratio

    @property
    def take(self) -> Fastest:
        """The file to take."""
        return self.integer if self.ratio.is_shorter else self.plain


def fastest(path: Path) -> Fastest:
    """Choose the engine of a file, its answers compared on natural images too.

    Raises as `auto.choose` does.
    """
    contract = read_contract(path)
    height, width = contract.preprocess.size
    images = tuple(natural_images(_IMAGES, height=height, width=width, seed=0))
    sha256 = model_sha256(path)
    return Fastest(
        path, contract, auto.choose(path, contract=contract, sha256=sha256, images=images)
    )


def verdicts(files: tuple[Fastest, ...]) -> tuple[Verdict, ...]:
    """Each INT8 file against the first float file of the same network, each on its own engine."""
    found = []
    for integer in files:
        if not integer.is_integer:
            continue
        for plain in files:
            if not plain.is_integer and plain.contract.name == integer.contract.name:
                found.append(Verdict(integer, plain, _compare(integer, plain)))
                break
    return tuple(found)


def _compare(integer: Fastest, plain: Fastest) -> Ratio:
    with (
        load(integer.path, engine=integer.choice.engine) as model,
        load(plain.path, engine=plain.choice.engine) as against,
    ):
        return auto.compare(model, against)
