"""Load a file and use it: what a camera app embeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract, TensorSpec
from edgecnn.errors import ContractError
from edgecnn.onnxfile import model_sha256, read_contract, read_header
from edgecnn.runtime import cache, golden
from edgecnn.runtime.compiled import open_engine
from edgecnn.runtime.detections import Detections, class_scores, description, detections
from edgecnn.runtime.engines.base import Engine, precision
from edgecnn.runtime.preprocess import Image, Tensor, preprocess, preprocess_batch
from edgecnn.runtime.results import Label, classification


class Model:
    """A loaded model: its contract, its engine and the way from a frame to an answer.

    `why` says why it is this engine, where `auto` has chosen it.
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

    @property
    def precision(self) -> str:
        """`fp32`, `fp16`, `int8`, ...: what the contract says and the engine really computes in."""
        return precision(self.contract.provenance.get("precision", "fp32"), self.engine.facts)

    @property
    def facts(self) -> Mapping[str, str]:
        """The engine's facts, and under `auto` why it was chosen."""
        return {**self.engine.facts, "auto": self._why} if self._why else self.engine.facts

    def __call__(self, image: Image) -> Detections | tuple[Label, ...]:
        """What is on one image: a detector's boxes, or the best classes."""
        if self.contract.task == "detection":
            return self.detect(image)
        return self.classify(image)

    def preprocess(self, image: Image) -> Tensor:
        """A uint8 (H, W, 3) RGB image as the network's input, float32, batch of one."""
        return preprocess(image, self.contract.preprocess)

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

    def logits(self, *images: Image) -> NDArray[np.float32]:
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

    def classify(self, image: Image, *, top: int = 5) -> tuple[Label, ...]:
        """The best classes of one image, best first; raises ContractError for other tasks."""
        if self.contract.task == "detection":
            raise ContractError(
                f"{self.path}: a detector, whose answer is boxes", hint="call model.detect(image)"
            )
        if self.contract.task == "segmentation":
            raise ContractError(
                f"{self.path}: for segmentation, whose answer is a class for each place",
                hint="call model.outputs(model.preprocess(image))",
            )
        return classification(self.logits(image)[0], self.contract, top=top)

    def verify(self) -> golden.Verification:
        """The golden check on this device's engine; raises ContractError where there is none."""
        if self.contract.golden is None:
            raise ContractError(
                f"{self.path}: its contract holds no golden check",
                hint="make one: edgecnn export FILE.onnx --size 224 -o NEW.onnx",
            )
        try:
            return golden.verify(self.contract.golden, self.logits)
        except ContractError as error:
            raise ContractError(f"{self.path}: {error}", hint=error.hint) from error

    def close(self) -> None:
        """Give the engine's memory back."""
        self.engine.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, tensor: Tensor) -> tuple[NDArray[np.float32], ...]:
        answers = self.engine.run({self._input.name: tensor})
        # Copied: an engine may write its next answers into the same memory.
        return tuple(np.array(answers[name], dtype=np.float32) for name in self._outputs)


def load(
    path: str | Path,
    *,
    engine: str = "onnxruntime",
    threads: int | None = None,
    contract: Contract | None = None,
) -> Model:
    """Load a model file; the engine built for this device is taken from the cache or built.

    `auto` is the fastest engine that is right, measured where the cache does not know it yet.
    `contract` stands in for files that carry none. Raises FileError, ModelError, ContractError
    or EngineError; UsageError for an unknown engine.
    """
    path = Path(path)
    contract = contract or read_contract(path)
    sha256, why = cache.remembered_sha256(path, lambda: _hashed(path)), ""
    if engine == "auto":
        from edgecnn.runtime.auto import choose

        choice = choose(path, contract=contract, sha256=sha256, threads=threads)
        engine, why = choice.engine, choice.why
    opened = open_engine(path, engine=engine, sha256=sha256, threads=threads)
    check_fit(path, contract, opened)
    return Model(path, contract=contract, engine=opened, sha256=sha256, why=why)


def _hashed(path: Path) -> tuple[str, bool]:
    """The sha256 of a model, and whether no weights of it lie in other files."""
    return model_sha256(path), not read_header(path).external


def check_fit(path: Path, contract: Contract, engine: Engine) -> None:
    """Raise ContractError for a contract that prepares another input than the graph takes."""
    if len(engine.inputs) != 1:
        names = ", ".join(spec.name for spec in engine.inputs)
        raise ContractError(
            f"{path}: takes {len(engine.inputs)} inputs ({names}), an image network takes one",
            hint="export the network without its other inputs",
        )
    takes, gives = engine.inputs[0], contract.preprocess.tensor_shape()
    fits = len(takes.shape) == 4 and all(
        isinstance(size, str) or size == given
        for size, given in zip(takes.shape[1:], gives[1:], strict=False)
    )
    if not fits or takes.dtype != "float32":
        raise ContractError(
            f"{path}: takes {takes.dtype} {_shape(takes)}, its images are prepared as {gives}",
            hint="say how images are prepared: --size, --layout, --color (see --help)",
        )


def _shape(spec: TensorSpec) -> str:
    return "x".join(str(size) for size in spec.shape)


def _cut(tensor: Tensor, batch: int) -> Iterator[Tensor]:
    for start in range(0, len(tensor), batch):
        yield tensor[start : start + batch]


def _filled(tensor: Tensor, batch: int) -> Tensor:
    missing = batch - len(tensor)
    return np.concatenate([tensor, np.repeat(tensor[-1:], missing, axis=0)]) if missing else tensor
