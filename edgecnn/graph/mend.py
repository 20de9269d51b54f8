"""Mending a quantized model layer by layer, each behind a prefix that is mended already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from onnx import ModelProto

from edgecnn.graph.model_io import copied
from edgecnn.graph.plan import Layer, Plan
from edgecnn.graph.prefix import Prefix
from edgecnn.graph.session import Array

Repair = Callable[[Layer, Prefix], None]
"""Looks at what reaches a layer or leaves it, and changes its constants in the prefix's model."""


def mend(
    quantized: ModelProto,
    plan: Plan,
    repairs: Sequence[Repair],
    images: Iterable[Array],
    *,
    threads: int = 0,
    progress: Callable[[], None] | None = None,
) -> ModelProto:
    """A copy of a quantized model in which the repairs were made, in order, on each layer.

    `images` is a bounded number of preprocessed images; `progress` is called once a layer.
    """
    mended = copied(quantized)
    prefix = Prefix(mended, images, threads=threads)
    for layer in plan.layers:
        for repair in repairs:
            repair(layer, prefix)
        if progress is not None:
            progress()
    return mended
