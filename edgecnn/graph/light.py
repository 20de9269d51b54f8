"""A model without its heavy weights, for tools that copy or check everything they are given.

Renaming nodes of VGG16 should not cost half a gigabyte of copying. `lighten` makes a small model in
which every heavy weight is an input; `put_graph` gives the changed graph back to the whole model,
whose weights never move.
"""

from __future__ import annotations

import math

import onnx
from onnx import ModelProto, NodeProto, helper

from edgecnn.errors import GraphError

_HEAVY = 1 << 18  # elements
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_WEIGHT = 1  # which input of a layer holds its weight


def lighten(model: ModelProto) -> ModelProto:
    """The model with each heavy weight as an input that has its type and shape.

    Only weights that nothing but layers read are left out, so that shapes, constants and whatever
    can be folded stay visible; with batch norms in the graph all weights stay, to be folded.
    """
    heavy = _heavy_weights(model)
    light = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.name = "light"
    light.functions.extend(model.functions)
    for field in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(light.graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        if tensor.name in heavy:
            info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            light.graph.input.append(info)
        else:
            light.graph.initializer.append(tensor)
    return light


def put_graph(model: ModelProto, light: ModelProto) -> None:
    """Give `model` the graph and versions of a `light` version of it, in place.

    The heavy weights that the graph reads stay in `model`, so a second `put_graph` can take back
    the first. Whatever is neither in the graph nor heavy goes: shapes, metadata, documentation.
    """
    inputs = {info.name for info in light.graph.input}
    for index in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[index].name not in inputs:
            del model.graph.initializer[index]
    model.graph.initializer.extend(light.graph.initializer)
    weights = {tensor.name for tensor in model.graph.initializer}
    for field in ("node", "output", "value_info", "sparse_initializer"):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(getattr(light.graph, field))
    del model.graph.input[:]
    model.graph.input.extend(info for info in light.graph.input if info.name not in weights)
    del model.opset_import[:], model.functions[:]
    model.opset_import.extend(light.opset_import)
    model.functions.extend(light.functions)
    model.ir_version = light.ir_version


def check(light: ModelProto) -> None:
    """Raise GraphError where a model breaks the rules of ONNX at its own opset."""
    try:
        onnx.checker.check_model(light)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise GraphError(
            f"not a valid ONNX graph: {_first_line(error)}", hint="export the model again"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _heavy_weights(model: ModelProto) -> set[str]:
    if any(node.op_type == "BatchNormalization" for node in model.graph.node):
        return set()
    big = {tensor.name for tensor in model.graph.initializer if math.prod(tensor.dims) > _HEAVY}
    outputs = {info.name for info in model.graph.output}
    other_reads = {name for node in model.graph.node for name in _reads_beside_weight(node)}
    return big - other_reads - outputs


def _reads_beside_weight(node: NodeProto) -> list[str]:
    names = list(node.input)
    if node.op_type in _LAYERS and len(names) > _WEIGHT:
        del names[_WEIGHT]
    return names
