"""One quantization: its options, its images in their two parts, the candidates made of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edgecnn.contract import Contract
from edgecnn.datasets.calibration import CalibrationSet
from edgecnn.errors import DataError, FileError
from edgecnn.files import read_error
from edgecnn.graph.checkpoint import Checkpoint
from edgecnn.graph.quantize import Quantized, quantize_model
from edgecnn.graph.ranges import MIXED, Ranges
from edgecnn.graph.saturation import local_target
from edgecnn.graph.stem import FASTER_SO, left_in_float
from edgecnn.graph.targets import Target, find_target
from edgecnn.pipeline.answering import Answering, Where, answering
from edgecnn.pipeline.boxes import compare_boxes
from edgecnn.pipeline.budget import Workshop, keep_budget
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.doctor import Checkup, short_checkup
from edgecnn.pipeline.findings import tell_short
from edgecnn.pipeline.finetuning import Finetuning, finetuned
from edgecnn.pipeline.frames import split_frames
from edgecnn.pipeline.jury import Budget, make_jury
from edgecnn.pipeline.naming import naming
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.ranking import ranking_on
from edgecnn.pipeline.scheduler import Scheduler
from edgecnn.pipeline.unfinished import unfinished_calibration
from edgecnn.pipeline.verdicts import Outcome
from edgecnn.pipeline.verified import Sealed, Verification, worst_layer

MAX_BOX_IMAGES = 64


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """How to quantize; `target` None is the local CPU's, `ranges` a file of an earlier run.

    `against` holds the evaluation images, none of which should be calibrated with. `finetune` is
    for how many epochs the integers are trained after all else, 0 for not at all. Labelled images
    of a budget are judged on `device`, or on a fleet where there is a `scheduler`, which ranks
    layers, too.
    """

    target: str | None = None
    method: str = "auto"
    effort: str = "default"
    ranges: Path | None = None
    keep_float: tuple[str, ...] = ()
    per_tensor: bool = False
    budget: Budget | None = None
    seed: int = 0
    against: Path | None = None
    finetune: int = 0
    contract: ContractOptions = field(default_factory=ContractOptions)
    device: str = "local"
    scheduler: Scheduler | None = None

    def __post_init__(self) -> None:
        if self.target is not None:
            find_target(self.target)  # a mistyped one is told before any image is looked at


def target_name(options: QuantizeOptions) -> str:
    """The target that was asked for, else the local CPU's."""
    return options.target or local_target().name


def judged_where(options: QuantizeOptions) -> Where:
    """Where labelled images judge what comes of it; elsewhere by the engine of its target."""
    engine = target_name(options).partition("-")[0]
    where = Where(options.device, options.scheduler, engine)
    return Where() if where.is_here else where


class Task:
    """One quantization: its images in their two parts, and how candidates are made of them."""

    def __init__(
        self,
        source: Path,
        target: Path,
        contract: Contract,
        images: CalibrationSet,
        options: QuantizeOptions,
        narrator: Narrator,
    ) -> None:
        self._source = source
        self._target = target
        self._contract = contract
        self._options = options
        self._narrator = narrator
        self._images = images
        self._fit, self._held_out = split_frames(source, images, contract, seed=options.seed)
        self._kept = self._held_out.images
        self._checkpoint: Checkpoint | None = None
        self._unfinished: Path | None = None

    def look(self) -> Checkup:
        """What the calibration set is like, told in short."""
        parts = self._fit, self._held_out
        checkup = short_checkup(
            self._images,
            self._source,
            parts,
            against=self._options.against,
            narrator=self._narrator,
        )
        tell_short(checkup, self._narrator)
        return checkup

    def quantized(self) -> tuple[Quantized, Outcome | None]:
        """The candidate to ship, within the budget if there is one."""
        budget = self._options.budget
        ranking = ranking_on(self._options.scheduler, self._narrator)
        jury = (
            make_jury(budget, self._source, self._contract, self._kept, self._answering())
            if budget
            else None
        )
        ranges = self._given_ranges()
        self._checkpoint = unfinished_calibration(
            self._source, self._fit.images, self._fit, self._narrator
        )
        first = self._candidate(self._options.method, ranges, checkpoint=self._checkpoint)
        if self._options.finetune:
            first = self._finetuned(first)
        _tell_steps(first, find_target(target_name(self._options)), self._narrator)
        if jury is None:
            return first, None
        workshop = Workshop(
            source=self._source,
            output=self._target,
            target=target_name(self._options),
            images=self._fit.tensors,
            requantize=lambda names: self._again(first.ranges, names),
            ranking=ranking,
            kept=self._options.keep_float,
        )
        return keep_budget(first, jury, workshop, self._narrator)

    def verified(
        self, quantized: Quantized, sealed: Sealed, outcome: Outcome | None
    ) -> Verification:
        """What the file itself does on the images kept aside."""
        boxes = None
        if self._contract.task == "detection":
            frames = islice(self._kept.images(), MAX_BOX_IMAGES)
            int8 = quantized.model.SerializeToString()
            boxes = compare_boxes(self._source, int8, self._contract, frames)
        return Verification(
            proof=sealed.prove(self._source, self._contract, self._kept),
            worst=worst_layer(self._source, self._held_out, quantized),
            boxes=boxes,
            budget=outcome,
        )

    def finished(self) -> None:
        """The file is in its place: what would let an interrupted run go on is not needed."""
        if self._checkpoint is not None:
            self._checkpoint.forget()
        if self._unfinished is not None:
            self._unfinished.unlink(missing_ok=True)

    def _answering(self) -> Answering:
        return answering(judged_where(self._options), self._narrator)

    def _given_ranges(self) -> Ranges | None:
        path = self._options.ranges
        if path is None:
            return None
        ranges = _read_ranges(path)
        if ranges.calibration_sha256 != self._images.sha256:
            mine = f"those of {self._images.name} only mend and judge"
            self._narrator.warn(f"{path}: learnt on other images; {mine}")
        return ranges

    def _finetuned(self, quantized: Quantized) -> Quantized:
        asked = self._options
        how = Finetuning(target_name(asked), asked.finetune, asked.seed)
        self._unfinished = how.unfinished(quantized, self._images)
        return finetuned(
            quantized,
            self._source,
            (self._fit, self._held_out),
            options=how,
            unfinished=self._unfinished,
            narrator=self._narrator,
        )

    def _again(self, ranges: Ranges, names: tuple[str, ...]) -> Quantized:
        """With more nodes in float; what they free may show tensors that have no range yet."""
        try:
            return self._candidate(ranges.method, ranges, names)
        except DataError:
            method = "auto" if ranges.method == MIXED else ranges.method
            return self._candidate(method, None, names)

    def _candidate(
        self,
        method: str,
        ranges: Ranges | None,
        more_float: tuple[str, ...] = (),
        checkpoint: Checkpoint | None = None,
    ) -> Quantized:
        with self._narrator.progress("quantize") as progress, naming(self._source):
            return quantize_model(
                self._source,
                self._fit.tensors,
                held_out=self._held_out.tensors,
                count=self._fit.count,
                calibration_sha256=self._images.sha256,
                target=target_name(self._options),
                method=method,
                effort=self._options.effort,
                keep_float=(*self._options.keep_float, *more_float),
                ranges=ranges,
                per_tensor=self._options.per_tensor,
                progress=progress,
                checkpoint=checkpoint,
            )


def _read_ranges(path: Path) -> Ranges:
    try:
        return Ranges.from_json(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path}: not a ranges file", hint="it is JSON, written by quantize"
        ) from error


def _method(quantized: Quantized) -> str:
    """`mse`, or `mixed (mse 30, minmax 12)`."""
    ranges = quantized.ranges
    if ranges.method != MIXED:
        return ranges.method
    counts = Counter(ranges.chosen.values()).most_common()
    return f"{MIXED} ({', '.join(f'{name} {count}' for name, count in counts)})"


def _tell_steps(quantized: Quantized, target: Target, narrator: Narrator) -> None:
    narrator.line("ranges", f"{len(quantized.ranges.by_tensor)} tensors, {_method(quantized)}")
    if stem := left_in_float(quantized.model, target):
        narrator.line("float", f"{stem}: {FASTER_SO}")
    for step in quantized.steps:
        verdict = "kept" if step.kept else "dropped"
        narrator.line(step.name, f"{step.gained_db:+.1f} dB    {verdict}")
