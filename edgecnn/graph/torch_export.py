"""From a PyTorch module to an ONNX model; the only file of this room that imports torch."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from edgecnn.errors import EdgecnnError, GraphError
from edgecnn.graph.canonical import canonicalize
from edgecnn.graph.light import check, lighten, put_graph
from edgecnn.graph.model_io import opset_of
from edgecnn.graph.names import name_graph, strip_notes
from edgecnn.graph.opset import in_opset_17, set_opset
from edgecnn.graph.torch_errors import chooses_path, does_not_run, explained

Batch = int | Literal["dynamic"]
Exporter = Literal["dynamo", "torchscript"]
Shape = tuple[int, int, int, int]
Names = tuple[str, ...]

INPUT, OUTPUT, BATCH = "input", "logits", "batch"
OLDEST_OPSET = 17

_DYNAMO_OPSET = 18  # the oldest that torch's exporter has translations for
_STDOUT = 1
_TRACED_BATCH = 2  # torch.export takes a batch of 1 for a constant


def export_module(
    module: nn.Module,
    *,
    input_shape: Shape,
    batch: Batch = 1,
    opset: int = OLDEST_OPSET,
    exporter: Exporter = "dynamo",
    outputs: Names = (OUTPUT,),
) -> ModelProto:
    """The network in evaluation mode as one ONNX graph, the same bytes for the same network.

    `input_shape` is (N, C, H, W); `batch` replaces its N. The input is called 'input', what the
    network returns `outputs`: one tensor, or a tuple of as many; nodes are called after their
    modules, weights as in the state dict. Opset 18 where the network cannot be written in 17. The
    module is left as it was. Raises GraphError where the network cannot run, returns another number
    of tensors, or cannot be written as a graph.
    """
    if opset < OLDEST_OPSET:
        raise GraphError(f"opset {opset} is too old", hint="17 is the oldest that is written")
    example = torch.zeros(_TRACED_BATCH if batch == "dynamic" else batch, *input_shape[1:])
    export = _with_dynamo if exporter == "dynamo" else _with_torchscript
    with _evaluating(module), torch.no_grad(), _quiet() as warned:
        _run(module, example, count=len(outputs))
        try:
            model = export(module, example, outputs, dynamic=batch == "dynamic", opset=opset)
        except Exception as error:
            raise explained(error, _name(module)) from error
    if any(issubclass(category, TracerWarning) for category in warned):
        raise chooses_path(_name(module))
    _check_output(model, _name(module))
    return _finished(model, opset=opset, state_names=module.state_dict().keys())


def torch_answers(
    module: nn.Module, inputs: Iterable[NDArray[np.float32]], *, count: int = 1
) -> tuple[tuple[NDArray[np.float32], ...], ...]:
    """The `count` outputs for each float32 batch, in evaluation mode; raises GraphError."""
    with _evaluating(module), torch.inference_mode(), _one_thread():
        return tuple(
            tuple(output.numpy() for output in _run(module, torch.from_numpy(batch), count=count))
            for batch in inputs
        )


def _with_dynamo(
    module: nn.Module, example: torch.Tensor, outputs: Names, *, dynamic: bool, opset: int
) -> ModelProto:
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=max(opset, _DYNAMO_OPSET),
        input_names=[INPUT],
        output_names=list(outputs),
        dynamic_shapes=({0: torch.export.Dim(BATCH)},) if dynamic else None,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return program.model_proto


def _with_torchscript(
    module: nn.Module, example: torch.Tensor, outputs: Names, *, dynamic: bool, opset: int
) -> ModelProto:
    file = io.BytesIO()
    with _no_output_from_c():
        torch.onnx.export(
            module,
            (example,),
            file,  # type: ignore[arg-type] # the annotation forgets that it may be a stream
            dynamo=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_axes={name: {0: BATCH} for name in (INPUT, *outputs)} if dynamic else None,
        )
    return onnx.load_from_string(file.getvalue())


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, whatever each part of the module was in afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Without threads inside a layer: on a busy machine their waiting costs ten times the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _quiet() -> Iterator[list[type[Warning]]]:
    """Nothing reaches the screen or the log; yields the kinds of warnings that were given."""
    kinds: list[type[Warning]] = []
    with contextlib.ExitStack() as stack:
        warned = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        try:
            yield kinds
        finally:
            kinds.extend(item.category for item in warned)


@contextlib.contextmanager
def _no_output_from_c() -> Iterator[None]:
    """TorchScript's exporter prints the whole graph of a failure from C++, past `sys.stdout`."""
    screen = os.dup(_STDOUT)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDOUT)
        yield
    finally:
        os.dup2(screen, _STDOUT)
        os.close(screen)


def _run(module: nn.Module, images: torch.Tensor, *, count: int) -> tuple[torch.Tensor, ...]:
    try:
        # What a network prints is no part of our answer.
        with contextlib.redirect_stdout(sys.stderr):
            output = module(images)
    except EdgecnnError:
        raise
    except Exception as error:
        raise does_not_run(error, _name(module), tuple(images.shape)) from error
    found = (output,) if count == 1 else output
    tensors = isinstance(found, tuple) and all(isinstance(item, torch.Tensor) for item in found)
    if not tensors or len(found) != count:
        raise GraphError(
            f"{_name(module)} returns a {type(output).__name__}, not {_tensors(count)}",
            hint="wrap it in a module whose forward() returns the logits alone",
        )
    return tuple(found)


def _tensors(count: int) -> str:
    return "one tensor" if count == 1 else f"{count} tensors"


def _check_output(model: ModelProto, name: str) -> None:
    """Raise GraphError for a shape that depends on an image's values: no contract can state it."""
    for info in model.graph.output:
        dims = info.type.tensor_type.shape.dim
        if not dims or not all(dim.HasField("dim_value") for dim in dims[1:]):
            sizes = ", ".join(dim.dim_param or str(dim.dim_value) for dim in dims)
            raise GraphError(
                f"{name}: the shape of its output is open: ({sizes})",
                hint="only the first size, the batch, may be open",
            )


def _finished(model: ModelProto, *, opset: int, state_names: Collection[str]) -> ModelProto:
    light = lighten(model)
    canonicalize(light)
    set_opset(light, opset_of(light))
    if opset < opset_of(light):
        light = in_opset_17(light)
    name_graph(light, state_names)
    check(light)
    put_graph(model, light)
    strip_notes(model)
    return model


def _name(module: nn.Module) -> str:
    return type(module).__name__
