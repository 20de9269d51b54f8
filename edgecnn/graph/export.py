"""The first arrow: a module or a file becomes a graph whose answers have been checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from onnx import ModelProto

from edgecnn.errors import GraphError, ParityError
from edgecnn.graph.load import load_onnx, modernize
from edgecnn.graph.model_io import opset_of
from edgecnn.graph.parity import (
    Outputs,
    Parity,
    Tensor,
    answers,
    check_parity,
    compare,
    compare_outputs,
    in_batches,
)
from edgecnn.graph.simplify import Simplified, simplify
from edgecnn.onnxfile import read_header

if TYPE_CHECKING:
    from torch import nn

    from edgecnn.graph.torch_export import Batch, Shape

OPSET = 17

Source = Literal["dynamo", "torchscript", "file"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A checked graph: who wrote it, how far it is from its source, and what is worth knowing.

    `exporter` is 'file' for a graph that came from elsewhere.
    """

    model: ModelProto
    exporter: Source
    opset: int
    parity: Parity
    nodes_before: int
    nodes_after: int
    notes: tuple[str, ...] = ()


def export_checked(
    module: nn.Module,
    *,
    input_shape: Shape,
    batch: Batch = 1,
    opset: int = OPSET,
    images: Sequence[Tensor],
    outputs: tuple[str, ...] = ("logits",),
) -> Exported:
    """Export, simplify and compare with PyTorch on `images`, each float32 (1, C, H, W).

    `outputs` names what the network returns: one tensor, or a tuple of as many; all are compared.
    TorchScript's exporter is tried where the newer one fails or its graph answers otherwise.
    Raises GraphError where the network cannot be written as a graph, ParityError where no graph
    gives its answers.
    """
    # Only here: importing torch takes seconds, and a file from elsewhere needs none of it.
    from edgecnn.graph.torch_export import export_module, torch_answers

    batches = tuple(in_batches(images, None if batch == "dynamic" else batch))
    expected = torch_answers(module, batches, count=len(outputs))
    compare(expected, expected)  # refuses NaN before the work begins
    write = partial(
        export_module, module, input_shape=input_shape, batch=batch, opset=opset, outputs=outputs
    )
    check = partial(_check_answers, batches, expected, type(module).__name__)
    try:
        return _exported(simplify(write(), check_answers=check), "dynamo", opset)
    except (GraphError, ParityError) as error:
        cause = error
    try:
        model = write(exporter="torchscript")
        exported = _exported(simplify(model, check_answers=check), "torchscript", opset)
    except (GraphError, ParityError):
        raise cause from None
    note = f"written by PyTorch's older TorchScript exporter, since the newer failed: {cause}"
    return replace(exported, notes=(note, *exported.notes))


def import_checked(path: Path, *, images: Sequence[Tensor]) -> Exported:
    """Bring a file into our form, simplify it and compare it with what it was on `images`.

    Each image is float32 of the file's input shape with a batch of 1. Raises FileError, ModelError
    or GraphError where the file cannot be used (see `load_onnx`), ParityError where raising its
    opset changes its answers.
    """
    model = load_onnx(path)
    batch: int = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    batches = tuple(in_batches(images, batch or None))
    expected = tuple(answers(model, batches))
    check = partial(_check_answers, batches, expected, str(path))
    model = modernize(model)
    if read_header(path).quantized:
        # Its weights are integers on purpose; a simplifier would fold them back to floats.
        nodes = len(model.graph.node)
        return _exported(Simplified(model, check(model), nodes, nodes), "file", OPSET)
    return _exported(simplify(model, check_answers=check), "file", OPSET)


def _exported(simplified: Simplified, exporter: Source, opset: int) -> Exported:
    written = opset_of(simplified.model)
    notes = [simplified.note] if simplified.note else []
    if exporter != "file" and written != opset:
        notes.append(f"written with opset {written}: the network needs more than {opset}")
    return Exported(
        model=simplified.model,
        exporter=exporter,
        opset=written,
        parity=simplified.parity,
        nodes_before=simplified.nodes_before,
        nodes_after=simplified.nodes_after,
        notes=tuple(notes),
    )


def _check_answers(
    batches: Sequence[Tensor], expected: Sequence[Outputs], what: str, model: ModelProto
) -> Parity:
    parity = compare_outputs(expected, model, batches)
    check_parity(parity, what=what)
    return parity
