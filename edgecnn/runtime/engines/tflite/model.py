"""A TFLite model under construction: tensors, operators and their options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.runtime.engines.tflite.flatbuffer import Number, Table, Vector, write_flatbuffer
from edgecnn.runtime.engines.tflite.schema import (
    BUFFER_ALIGN,
    IDENTIFIER,
    TENSOR_TYPES,
    VERSION,
    Op,
    OptionsType,
)

_NO_BUFFER = 0  # the first buffer is empty by convention: of what is computed


@dataclass(frozen=True, slots=True)
class Quant:
    """real = (integer - zero_point) * scale; of weights a scale for each index along `axis`.

    Scales are float32 values, zero points those of int8.
    """

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0

    @property
    def scale(self) -> float:
        """The scale of an activation."""
        return self.scales[0]


@dataclass(frozen=True, slots=True)
class Options:
    """An operator's options: of which type, and each slot's (format, value)."""

    type: OptionsType
    slots: tuple[Number, ...] = ()

    def table(self) -> Table:
        """As it is written."""
        return Table(dict(enumerate(self.slots)))


NO_OPTIONS = Options(OptionsType.NONE)


@dataclass(slots=True)
class TfliteModel:
    """Tensors and operators are added in the order in which they are computed."""

    _tensors: list[Table] = field(default_factory=list)
    _buffers: list[Table] = field(default_factory=lambda: [Table({})])
    _operators: list[Table] = field(default_factory=list)
    _codes: list[Op] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        *,
        quant: Quant | None = None,
        data: NDArray[Any] | None = None,
    ) -> int:
        """Add a tensor, constant where it has `data`, and return its number."""
        slots: dict[int, Any] = {
            0: _int32s(shape),
            1: Number("b", TENSOR_TYPES[dtype]),
            2: Number("I", _NO_BUFFER if data is None else len(self._buffers)),
            3: name,
        }
        if data is not None:
            content = np.ascontiguousarray(data, dtype).view(np.uint8).ravel()
            self._buffers.append(Table({0: Vector(content, align=BUFFER_ALIGN)}))
        if quant is not None:
            slots[4] = _quantization(quant)
        self._tensors.append(Table(slots))
        return len(self._tensors) - 1

    def operator(
        self, op: Op, inputs: Sequence[int], outputs: Sequence[int], options: Options
    ) -> None:
        """Add an operator that reads and makes tensors of these numbers."""
        if op not in self._codes:
            self._codes.append(op)
        slots: dict[int, Any] = {
            0: Number("I", self._codes.index(op)),
            1: _int32s(inputs),
            2: _int32s(outputs),
        }
        if options.type:
            slots |= {3: Number("B", options.type), 4: options.table()}
        self._operators.append(Table(slots))

    def serialized(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file that computes the tensors `outputs` from `inputs`."""
        graph = Table({
            0: self._tensors,
            1: _int32s(inputs),
            2: _int32s(outputs),
            3: self._operators,
        })  # fmt: skip
        codes = [
            Table({0: Number("b", min(op, 127)), 2: Number("i", 1), 3: Number("i", op)})
            for op in self._codes
        ]
        root = Table({0: Number("I", VERSION), 1: codes, 2: [graph], 4: self._buffers})
        return write_flatbuffer(root, identifier=IDENTIFIER)


def _int32s(values: Sequence[int]) -> Vector:
    return Vector(np.array(values, np.int32))


def _quantization(quant: Quant) -> Table:
    return Table({
        2: Vector(np.array(quant.scales, np.float32)),
        3: Vector(np.full(len(quant.scales), quant.zero_point, np.int64)),
        6: Number("i", quant.axis),
    })  # fmt: skip
