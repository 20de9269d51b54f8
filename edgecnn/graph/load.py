"""A plain ONNX file from elsewhere, brought into the form that this toolkit writes itself."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from edgecnn.contract import TensorSpec
from edgecnn.errors import FileError, GraphError, ModelError
from edgecnn.graph.light import check, lighten
from edgecnn.graph.model_io import NEWEST_IR, OLDEST_OPSET, drop_weight_inputs, opset_of
from edgecnn.graph.names import strip_notes
from edgecnn.graph.opset import raise_to, set_opset
from edgecnn.onnxfile import read_header

_RAISED_OPSET = 17
_OLDEST_IR = 4  # the first in which weights need not be inputs
_CHANNELS = (1, 3)


def import_onnx(path: Path) -> ModelProto:
    """A file with opset 13 or newer, IR version at most 10 and nothing but the image as input.

    Raises what `load_onnx` and `modernize` raise.
    """
    return modernize(load_onnx(path))


def load_onnx(path: Path) -> ModelProto:
    """A file as it is, with external weights merged in and none of them among the inputs.

    Raises FileError where it cannot be read; ModelError where it is no whole ONNX file, breaks the
    rules of ONNX, or keeps weights outside its folder; GraphError where it does not take one
    float32 image of 1 or 3 channels.
    """
    header = read_header(path)  # refuses what is no ONNX file or reaches outside its folder
    _check_input(header.inputs, path)
    try:
        model = onnx.load(path)
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"{path}: not an ONNX file, or a damaged one", hint="copy or export it again"
        ) from error
    except OSError as error:
        raise FileError(
            f"{path}: cannot be read ({error.strerror})", hint="check the file and its weights"
        ) from error
    _check_names(model, path)
    _take_weights_apart(model)
    try:
        check(lighten(model))
    except GraphError as error:
        raise ModelError(f"{path}: {error}", hint=error.hint) from error
    return model


def modernize(model: ModelProto) -> ModelProto:
    """The model with opset 13 or newer and an IR version of at most 10.

    Raises GraphError where its opset is older and cannot be raised to 17.
    """
    if opset_of(model) < OLDEST_OPSET:
        model = raise_to(model, _RAISED_OPSET)
        _take_weights_apart(model)
        set_opset(model, _RAISED_OPSET)
    model.ir_version = min(model.ir_version, NEWEST_IR)
    strip_notes(model)
    return model


def _take_weights_apart(model: ModelProto) -> None:
    drop_weight_inputs(model)
    model.ir_version = max(model.ir_version, _OLDEST_IR)


def _check_names(model: ModelProto, path: Path) -> None:
    """Raise ModelError for names that are not UTF-8, which protobuf hands over as bytes."""
    graph = model.graph
    named = (*graph.node, *graph.initializer, *graph.input, *graph.output)
    names = [item.name for item in named]
    names.extend(item.name for node in graph.node for item in node.attribute)
    for node in graph.node:
        names.extend((node.op_type, node.domain, *node.input, *node.output))
    if not all(isinstance(name, str) for name in names):
        raise ModelError(f"{path}: has names that are no text", hint="copy or export it again")


def _check_input(inputs: tuple[TensorSpec, ...], path: Path) -> None:
    if len(inputs) == 1 and _is_image(inputs[0]):
        return
    found = ", ".join(f"{spec.name!r:.60} {spec.dtype}{spec.shape}" for spec in inputs) or "none"
    raise GraphError(
        f"{path}: takes no single float32 image; its inputs: {found[:200]}",
        hint="export it with one input of (N, C, H, W) or (N, H, W, C), C being 1 or 3",
    )


def _is_image(spec: TensorSpec) -> bool:
    if spec.dtype != "float32" or len(spec.shape) != 4:
        return False
    return spec.shape[1] in _CHANNELS or spec.shape[3] in _CHANNELS
