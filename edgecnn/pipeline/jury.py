"""Who judges a budget: the images kept aside, or labelled ones."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.datasets.labelled import LabelledImages
from edgecnn.errors import UsageError
from edgecnn.pipeline.answering import Answering
from edgecnn.pipeline.measure import open_data
from edgecnn.pipeline.proof import prove, uncached
from edgecnn.profiling.accuracy import Predictions, compare_predictions, evaluation
from edgecnn.profiling.budget import Limit, Verdict, judge_agreement, judge_drop
from edgecnn.profiling.records import Evaluation
from edgecnn.runtime.results import is_map


@dataclass(frozen=True, slots=True)
class Budget:
    """What INT8 may cost and who says so: labelled images, or without `data` those kept aside.

    With `accept_loss` the file is written even where the budget is missed.
    """

    limit: Limit
    data: Path | None = None
    table: Path | None = None
    accept_loss: bool = False
    class_offset: int | None = None

    def __post_init__(self) -> None:
        if self.limit.metric == "drop" and self.data is None:
            raise UsageError(
                "a largest drop of accuracy needs labelled images",
                hint="add --data FOLDER, or use --min-agreement 97%, which needs none",
            )


class Jury(Protocol):
    """Runs a quantized graph and says whether the budget is held."""

    @property
    def images(self) -> str:
        """Which images judge, in words."""

    @property
    def independent(self) -> bool:
        """Whether these images took no part in any choice."""

    def judge(self, int8: bytes, *, confidence: float) -> Verdict:
        """Judge a serialized graph."""

    def evaluation(self, file: Path) -> Evaluation | None:
        """The accuracy of the graph judged last, as that of a file; None without labels."""


def make_jury(
    budget: Budget, source: Path, contract: Contract, kept: CalibrationSet, answering: Answering
) -> Jury:
    """The jury of a budget, which asks files about labelled images by `answering`.

    Raises DataError for labelled images that do not fit, UsageError for a network that gives no
    class for each image.
    """
    if contract.task != "classification" or is_map(contract.outputs[0].shape):
        raise UsageError(
            f"{source}: it gives no class for each image, which is what a budget counts",
            hint="quantize it without a budget: boxes, or pixels, are compared all the same",
        )
    if budget.data is None:
        return KeptAside(source, contract, budget.limit, kept)
    labelled = open_data(
        budget.data, contract, table=budget.table, class_offset=budget.class_offset
    )
    return Labelled(source, contract, budget.limit, labelled, answering)


class KeptAside:
    """The calibration images kept aside. They chose among repairs, so they are not independent."""

    independent = False

    def __init__(
        self, source: Path, contract: Contract, limit: Limit, kept: CalibrationSet
    ) -> None:
        self._source = source
        self._contract = contract
        self._limit = limit
        self._kept = kept

    @property
    def images(self) -> str:
        """In words."""
        return f"{self._kept.count:,} images kept aside"

    def judge(self, int8: bytes, *, confidence: float) -> Verdict:
        """Agreement on all of them."""
        with (
            _written(int8) as path,
            uncached(path, self._contract) as model,
            uncached(self._source, self._contract) as reference,
        ):
            proof = prove(reference, model, self._kept.images())
        agreeing = proof.images - (proof.flips or 0)
        return judge_agreement(
            agreeing, proof.images, least=self._limit.value, confidence=confidence
        )

    def evaluation(self, file: Path) -> Evaluation | None:
        """None: they have no labels."""
        del file
        return None


class Labelled:
    """Labelled images, which no choice has seen."""

    independent = True

    def __init__(
        self,
        source: Path,
        contract: Contract,
        limit: Limit,
        labelled: LabelledImages,
        answering: Answering,
    ) -> None:
        self._contract = contract
        self._limit = limit
        self._labelled = labelled
        self._answering = answering
        self._last = self._reference = self._answers(source)

    @property
    def images(self) -> str:
        """In words."""
        return f"{len(self._labelled.items):,} labelled images of {self._labelled.name}"

    def judge(self, int8: bytes, *, confidence: float) -> Verdict:
        """The drop of top-1 on them, or the agreement."""
        with _written(int8) as path:
            self._last = self._answers(path)
        paired = compare_predictions(self._reference, self._last)
        if self._limit.metric == "agreement":
            agreeing = round(paired.agreement * paired.n)
            return judge_agreement(
                agreeing, paired.n, least=self._limit.value, confidence=confidence
            )
        return judge_drop(
            paired.right_to_wrong,
            paired.wrong_to_right,
            paired.n,
            most=self._limit.value,
            confidence=confidence,
        )

    def evaluation(self, file: Path) -> Evaluation:
        """Top-1 and top-5 of the graph judged last."""
        named = dataclasses.replace(self._last, file=str(file), precision="int8")
        return evaluation(named, reference=self._reference)

    def _answers(self, path: Path) -> Predictions:
        return self._answering(path, self._contract, self._labelled)


@contextlib.contextmanager
def _written(int8: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        path = Path(scratch) / "int8.onnx"
        path.write_bytes(int8)
        yield path
