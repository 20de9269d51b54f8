"""What a file answers to labelled images: asked here, on a device, or of a fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecnn.contract import Contract
from edgecnn.datasets.labelled import LabelledImages
from edgecnn.devices.find import open_device
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.proof import uncached
from edgecnn.pipeline.scheduler import Scheduler, fleet_of
from edgecnn.profiling.accuracy import Predictions, evaluate_model
from edgecnn.profiling.elsewhere import Subject, evaluate_elsewhere
from edgecnn.profiling.fleet import predictions_of_fleet

Answering = Callable[[Path, Contract, LabelledImages], Predictions]


@dataclass(frozen=True, slots=True)
class Where:
    """A device by name, or the workers of a fleet, and the engine that runs files there."""

    device: str = "local"
    scheduler: Scheduler | None = None
    engine: str = "onnxruntime"

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        return self.scheduler is None and self.device == "local"


def answering(where: Where, narrator: Narrator) -> Answering:
    """How files are asked there; here by ONNX Runtime, which leaves no engine in the cache.

    The function raises as `evaluate_model`, `evaluate_elsewhere` and `predictions_of_fleet` do.
    """

    def asked(path: Path, contract: Contract, images: LabelledImages) -> Predictions:
        with narrator.progress("evaluate") as progress:
            subject = Subject(path, contract, where.engine)
            if where.scheduler is not None:
                kind = where.scheduler.kind
                with fleet_of(where.scheduler, tell=narrator.warn) as fleet:
                    found = predictions_of_fleet(fleet, kind, [subject], images, progress=progress)
                return found[path]
            if not where.is_here:
                with open_device(where.device) as device:
                    return evaluate_elsewhere(device, subject, images, progress=progress)
            with uncached(path, contract) as model:
                return evaluate_model(model, images, progress=progress)

    return asked
