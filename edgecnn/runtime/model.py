"""A loaded file in use: from a frame to an answer."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.errors import ContractError, EngineError, UsageError
from edgecnn.runtime import golden
from edgecnn.runtime.detections import Detections, class_scores, description, detections
from edgecnn.runtime.engines.base import Engine, precision
from edgecnn.runtime.frames import captured_ns
from edgecnn.runtime.preprocess import (
    Given,
    Image,
    Tensor,
    picture,
    preprocess,
    preprocess_batch,
)
from edgecnn.runtime.results import (
    Classification,
    Embedding,
    Label,
    Segmentation,
    classification,
    probabilities,
    segmentation,
)
from edgecnn.runtime.views import Views, views_of

if TYPE_CHECKING:
    from edgecnn.runtime.camera import Camera
    from edgecnn.runtime.drift import Glance
    from edgecnn.runtime.stream import Stream

Result = Classification | Detections | Segmentation | Embedding

_GRAY = 127
_ANSWERS = {
    "detection": "a detector, whose answer is boxes",
    "segmentation": "for segmentation, whose answer is a class for each place",
    "embedding": "for embedding, whose answer is a vector",
}


class Model:
    """A loaded model: its contract, its engine and the way from a frame to an answer.

    Any number of threads may call it; the engine runs for one of them at a time. `why` says why it
    is this engine, where `auto` has chosen it.
    """

    def __init__(
        self, path: Path, *, contract: Contract, engine: Engine, sha256: str, why: str = ""
    ) -> None:
        self.path = path
        self.contract = contract
        self.engine = engine
        self.sha256 = sha256
        self._why = why
        self._input = engine.inputs[0]
        self._outputs = tuple(spec.name for spec in engine.outputs)
        self._running = threading.Lock()
        self._closed = False
        self._warm = False

    @property
    def precision(self) -> str:
        """`fp32`, `fp16`, `int8`, ...: what the contract says and the engine really computes in."""
        return precision(self.contract.provenance.get("precision", "fp32"), self.engine.facts)

    @property
    def facts(self) -> Mapping[str, str]:
        """The engine's facts, and under `auto` why it was chosen."""
        return {**self.engine.facts, "auto": self._why} if self._why else self.engine.facts

    def __call__(self, image: Given, *, views: Views = "centre") -> Result:
        """What is on one image, uint8 (H, W, 3) RGB, by the file's task; see `Result`.

        A network that listens is given samples (n,), int16 or float from -1 to 1, at the contract's
        rate. `views` averages the classes of several looks at an image, each a run of the engine:
        `flip` (as it is and mirrored), `five` (centre and corners), `ten` (those, mirrored too).
        Raises DataError where it is no image, or no such sound, UsageError for views that the
        network does not allow.
        """
        since_ns = captured_ns(image) or time.monotonic_ns()
        if views != "centre":
            return self._averaged(image, views, since_ns)
        image = picture(image, self.contract.preprocess)
        tensor = self.preprocess(image)
        return self.answer(tensor, (image.shape[0], image.shape[1]), since_ns=since_ns)

    def answer(self, tensor: Tensor, frame_shape: tuple[int, int], *, since_ns: int) -> Result:
        """What is on a preprocessed frame of (height, width), batch of one.

        `since_ns` is when it was captured, on the clock of `time.monotonic_ns`.
        """
        result = self._result(self.outputs(tensor), frame_shape)
        return dataclasses.replace(result, age_ms=(time.monotonic_ns() - since_ns) / 1e6)

    def preprocess(self, image: Given, *, out: Tensor | None = None) -> Tensor:
        """A uint8 (H, W, 3) RGB image, or a sound, as the network's input, float32, batch of one.

        `out`, a tensor of an earlier call, is filled again instead of a new one.
        """
        return preprocess(image, self.contract.preprocess, out=out)

    def warm_up(self) -> None:
        """Run on a gray frame, so that the first real one finds memory and kernels ready.

        A model that has run already is left as it is. Raises EngineError where the engine fails.
        """
        if self._warm:
            return
        gray = np.full((*self.contract.preprocess.size, 3), _GRAY, dtype=np.uint8)
        self.outputs(self.preprocess(gray))

    def run(self, tensor: Tensor) -> NDArray[np.float32]:
        """The first output for a preprocessed batch of any size; float32 (batch, values)."""
        return self.outputs(tensor)[0].reshape(len(tensor), -1)

    def outputs(self, tensor: Tensor) -> tuple[NDArray[np.float32], ...]:
        """All outputs for a preprocessed batch of any size, each float32 (batch, ...).

        Where the file has a fixed batch, the last one is filled up and cut again.
        """
        batch = self._input.batch
        if batch is None or len(tensor) == batch:
            return self._run(tensor)
        parts = [self._run(_filled(part, batch)) for part in _cut(tensor, batch)]
        return tuple(np.concatenate(same)[: len(tensor)] for same in zip(*parts, strict=True))

    def logits(self, *images: Given) -> NDArray[np.float32]:
        """One value a class for each image, float32 (images, values).

        The network's first output as it is; of a detector the best score of each class.
        """
        outputs = self.outputs(preprocess_batch(images, self.contract.preprocess))
        if self.contract.detection is None:
            return outputs[0].reshape(len(images), -1)
        return class_scores(outputs, self.contract.detection, self.contract.preprocess.size)

    def detect(self, image: Image) -> Detections:
        """The boxes on one image, in its own pixels; raises ContractError if it is no detector."""
        description(self.contract)
        outputs = self.outputs(self.preprocess(image))
        return detections(outputs, self.contract, (image.shape[0], image.shape[1]))

    def classify(self, image: Given, *, top: int = 5) -> tuple[Label, ...]:
        """The best classes of one image, best first; raises ContractError for other tasks."""
        if self.contract.task != "classification":
            raise ContractError(
                f"{self.path}: {_ANSWERS[self.contract.task]}", hint="call model(image)"
            )
        return classification(self.logits(image)[0], self.contract, top=top)

    def glance(self, tensor: Tensor, outputs: tuple[NDArray[np.float32], ...]) -> Glance:
        """What a preprocessed image looks like to the network, and how sure it is."""
        from edgecnn.runtime.drift import glance

        confidence = None
        if self.contract.task == "classification":
            confidence = float(probabilities(outputs[0].reshape(-1)).max())
        return glance(tensor, self.contract.preprocess.layout, confidence)

    def stream(
        self,
        camera: Camera,
        *,
        deadline_ms: float | None = None,
        smoothing: float = 0.0,
        threshold: float = 0.0,
        metrics_port: int | None = None,
        watch_ranges: bool = False,
    ) -> Stream:
        """Answers to a camera's newest frames, while the next one is captured and preprocessed.

        See StreamOptions. Raises UsageError for options out of range, DeviceError where the port
        is taken, EngineError where ranges are to be watched without ONNX Runtime.
        """
        from edgecnn.runtime.stream import Stream, StreamOptions

        options = StreamOptions(
            deadline_ms=deadline_ms,
            smoothing=smoothing,
            threshold=threshold,
            metrics_port=metrics_port,
            watch_ranges=watch_ranges,
        )
        return Stream(self, camera, options)

    def verify(self) -> golden.Verification:
        """The golden check on this device's engine; raises ContractError where there is none."""
        if self.contract.golden is None:
            raise ContractError(
                f"{self.path}: its contract holds no golden check",
                hint="make one: edgecnn export FILE.onnx --size 224 -o NEW.onnx",
            )
        try:
            return golden.verify(
                self.contract.golden,
                self.logits,
                same_best=self.contract.names_one,
            )
        except ContractError as error:
            raise ContractError(f"{self.path}: {error}", hint=error.hint) from error

    def close(self) -> None:
        """Give the engine's memory back, once a call that is under way is done."""
        with self._running:
            if not self._closed:
                self._closed = True
                self.engine.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def _averaged(self, image: Given, views: Views, since_ns: int) -> Classification:
        if self.contract.task != "classification":
            raise UsageError(
                f"{self.path}: views average classes, and it is for {self.contract.task}",
                hint='views="centre"',
            )
        tensors = views_of(image, self.contract.preprocess, views)
        scores = np.mean([probabilities(self.run(tensor)[0]) for tensor in tensors], axis=0)
        age_ms = (time.monotonic_ns() - since_ns) / 1e6
        return Classification(scores, self.contract, age_ms=age_ms)

    def _result(
        self, outputs: tuple[NDArray[np.float32], ...], frame_shape: tuple[int, int]
    ) -> Result:
        if self.contract.task == "detection":
            return detections(outputs, self.contract, frame_shape)
        if self.contract.task == "segmentation":
            return segmentation(outputs[0], self.contract, frame_shape)
        if self.contract.task == "embedding":
            return Embedding(outputs[0].reshape(-1), self.contract)
        return Classification(probabilities(outputs[0].reshape(-1)), self.contract)

    def _run(self, tensor: Tensor) -> tuple[NDArray[np.float32], ...]:
        """Copies, since an engine may use its arrays again for the next thread."""
        with self._running:
            if self._closed:
                raise EngineError(f"{self.path}: the model is closed", hint="load it again")
            answers = self.engine.run({self._input.name: tensor})
            self._warm = True
            return tuple(np.array(answers[name], dtype=np.float32) for name in self._outputs)


def _cut(tensor: Tensor, batch: int) -> Iterator[Tensor]:
    for start in range(0, len(tensor), batch):
        yield tensor[start : start + batch]


def _filled(tensor: Tensor, batch: int) -> Tensor:
    missing = batch - len(tensor)
    return np.concatenate([tensor, np.repeat(tensor[-1:], missing, axis=0)]) if missing else tensor
