"""How large the tensors of a graph are, weights among them."""

from __future__ import annotations

import math

from onnx import ModelProto

from edgecnn.graph.model_io import Shape, infer_shapes, shapes_of


class Sizes:
    """The sizes of all tensors in one run of a model, which gets its shapes.

    Where the batch is open, a run takes `batch` images. Raises GraphError where shapes do not fit.
    """

    def __init__(self, model: ModelProto, *, batch: int = 1) -> None:
        weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        self._shapes: dict[str, Shape] = {**shapes_of(infer_shapes(model)), **weights}
        self._batch = batch

    def shape(self, name: str) -> tuple[int, ...] | None:
        """A tensor's shape; None where it is not known, or open beyond the batch."""
        found = self._shapes.get(name)
        if found is None:
            return None
        first = tuple(self._batch if size is None else size for size in found[:1])
        rest = tuple(size for size in found[1:] if size is not None)
        return first + rest if len(first) + len(rest) == len(found) else None

    def values(self, name: str) -> int | None:
        """How many values a tensor holds; None as for `shape`."""
        shape = self.shape(name)
        return None if shape is None else math.prod(shape)
