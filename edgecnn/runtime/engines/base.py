"""What every engine does: named tensors in, named tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import TensorSpec

Feeds = Mapping[str, NDArray[Any]]

# What engines call steps that compute nothing: they change the type or the layout of values.
_REFORMATS = frozenset({
    "QuantizeLinear", "DequantizeLinear", "Transpose", "Cast", "ReorderInput", "ReorderOutput",
    "Reorder", "Convert",
})  # fmt: skip


def precision(stated: object, facts: Mapping[str, str]) -> str:
    """What a file is computed in: as its contract says, unless its engine's facts say BF16.

    `fp32` in such an engine is `bf16`, `int8` with float layers in BF16 is `int8+bf16`.
    """
    if facts.get("float") != "bf16":
        return str(stated)
    return f"{stated}+bf16" if str(stated).startswith("int8") else "bf16"


class Engine(Protocol):
    """One loaded model on one engine."""

    @property
    def name(self) -> str:
        """The engine's name, as `--engine` takes it."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `run` must be fed with."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `run` gives back."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What a reader of a measurement must know: version, provider, threads, graph."""

    def run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        """Run once and return when the outputs are on the host; raises EngineError.

        The arrays may be reused by the next run: copy what must outlive it.
        """

    def close(self) -> None:
        """Give the engine's memory back; the engine must not be used afterwards."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One step that an engine made of a file.

    `name` and `kind` are the engine's words, `precision` is what the step works on: `int8`, `fp16`,
    `bf16`, `fp32`, or nothing where the engine does not say. `origins` are names of nodes and
    tensors of the file, as far as the engine keeps them.
    """

    name: str
    kind: str
    precision: str
    origins: tuple[str, ...]

    @property
    def is_reformat(self) -> bool:
        """Whether it computes nothing and only changes the type or the layout of values."""
        return is_reformat(self.kind)


def is_reformat(kind: str) -> bool:
    """Whether layers of a kind compute nothing and only change the type or layout of values."""
    return kind in _REFORMATS


class Profiled(Protocol):
    """A file in an engine whose profiler is on."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `run` must be fed with."""

    def run(self, feeds: Feeds) -> None:
        """Run once; raises EngineError."""

    def begin(self) -> None:
        """From here on runs count; those before were for warming up."""

    def stop(self) -> tuple[tuple[Layer, ...], NDArray[np.float64]]:
        """The layers in the order in which they run, and their times in the runs that count.

        Times are float64 (runs, layers), in ms; one row with the mean where the engine tells no
        more. It cannot be run afterwards. Raises EngineError.
        """
